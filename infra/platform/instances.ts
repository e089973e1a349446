export interface InstanceState {
  /** `api.blue.1`; `database.blue`; `balancer`. */
  id: string;
  state: 'running' | 'starting' | 'stopped' | 'failed';
  pid?: number;
  since?: number;
}

export interface Instances {
  list(): Promise<InstanceState[]>;
  /** Stops one, gracefully; `start` brings it back. Used by the proof of alerts and by drills. */
  stop(id: string): Promise<void>;
  start(id: string): Promise<void>;
}
