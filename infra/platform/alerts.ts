export interface AlertDelivery {
  receiver: string;
  alert: string;
  status: 'firing' | 'resolved';
  labels: Record<string, string>;
  /** ms since the epoch: when the receiver acknowledged it. */
  at: number;
}

export interface Alerts {
  /** Longest time from a failure to its delivery, ms. */
  readonly deliveryMs: number;
  /** Names of the loaded rules. */
  rules(): Promise<string[]>;
  active(): Promise<{ alert: string; labels: Record<string, string>; since: number }[]>;
  /** What receivers acknowledged since `since` (ms), by the environment's own receiver. */
  deliveries(since: number): Promise<AlertDelivery[]>;
  /** Whether monitoring has seen this instance (`api.blue.1`) up: only then can it notice its loss. */
  watches(instance: string): Promise<boolean>;
  /** Notifications that could not be delivered since `since` (ms; where the platform counts in minutes, since its minute), per configured receiver. */
  failures(since: number): Promise<Record<string, number>>;
  /**
   * Raises the alert that the loss of this instance raises, without stopping it; it ends by itself. Only where an alert
   * takes minutes: elsewhere the instance is stopped, which proves more.
   */
  raise?(instance: string): Promise<void>;
}
