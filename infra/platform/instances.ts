export interface InstanceState {
  /** `api.blue.1`; `database.blue`; `balancer`. */
  id: string;
  state: 'running' | 'starting' | 'stopped' | 'failed';
  pid?: number;
  since?: number;
}

export interface Instances {
  list(): Promise<InstanceState[]>;
  /** Stops an instance gracefully until `start`. Used by the alert gate and by drills. */
  stop(id: string): Promise<void>;
  start(id: string): Promise<void>;
}
