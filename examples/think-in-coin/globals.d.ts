/** Put in by the build (esbuild `define`). */
declare const SAMPLE_VERSION: string;
/** For drills only; the empty string in every other build. See `faults.ts`. */
declare const SAMPLE_FAULT: string;
