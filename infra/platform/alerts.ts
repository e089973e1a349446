export interface AlertDelivery {
  receiver: string;
  alert: string;
  status: 'firing' | 'resolved';
  labels: Record<string, string>;
  /** When the receiver acknowledged it, ms since the epoch. */
  at: number;
}

export interface Alerts {
  /** Upper bound of the time from a failure to the delivery of its alert, ms. */
  readonly deliveryMs: number;
  /** Names of the loaded rules. */
  rules(): Promise<string[]>;
  active(): Promise<{ alert: string; labels: Record<string, string>; since: number }[]>;
  /** Deliveries acknowledged since `since` (ms since the epoch), as recorded by the environment's own receiver. */
  deliveries(since: number): Promise<AlertDelivery[]>;
  /** Whether monitoring has seen this instance (`api.blue.1`) up. Only then can it detect the loss of the instance. */
  watches(instance: string): Promise<boolean>;
  /**
   * Number of failed notifications per configured receiver since `since` (ms since the epoch). A platform that counts
   * per minute counts from the start of that minute.
   */
  failures(since: number): Promise<Record<string, number>>;
  /**
   * Raises the alert for the loss of this instance without stopping it; the alert ends by itself. Only for platforms
   * where an alert takes minutes. Absent: the instance is stopped, which proves more.
   */
  raise?(instance: string): Promise<void>;
}
