/** What a run of tests reported. */
export interface TestReport {
  /** Tests that ran, without the skipped ones. */
  ran: number;
  skipped: number;
  /** `suite › test: message` of each that failed or broke. */
  failures: string[];
  /** Why the report says nothing about the tests, although it was written. */
  unknown?: string;
}
