import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { execa } from 'execa';
import { childEnvironment } from '../../../infra/lib/child-environment.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import type { Artefact } from '../../../infra/model.ts';
import type { Job, Jobs } from '../../../infra/platform/jobs.ts';
import { toolPath } from '../../../infra/lib/tools.ts';
import { k6Command, k6Settings, type K6Command } from './k6-command.ts';
import type { SegmentRunner } from './segments.ts';

export interface SegmentsByJobs {
  jobs: Jobs;
  /** A job needs an artefact; the segment does not use it. */
  artefact: Artefact;
  /** Image with k6 and a shell, for platforms that run images. */
  image?: string;
  /** Path of k6 in the job; default: `k6`. */
  program?: string;
  /** Longest time from the request for a job until it runs, ms: a task is placed and its image is pulled. */
  leadMs?: number;
}

/** Largest packed script, in bytes of base64. A whole ECS task definition may have 64 KiB. */
const mostBytes = 40_000;

/**
 * Runs segments as one-off tasks of the platform. The script is sent in the environment as a k6 archive (script,
 * imports, options). The summary is the job's result.
 */
export function segmentsByJobs(options: SegmentsByJobs): SegmentRunner {
  const { jobs, artefact, image, program = 'k6', leadMs = 180_000 } = options;
  const archives = new Map<string, Promise<string>>();
  return {
    leadMs: () => leadMs,
    async run({ name, command, logFile, timeoutMs, signal }) {
      const key = JSON.stringify([
        command.script,
        command.paths,
        command.rate,
        command.durationSeconds,
        command.segment?.startAt,
      ]);
      const archive = archives.get(key) ?? pack(command);
      archives.set(key, archive);
      const job: Job = {
        ...(await segmentJob(command, await archive, program)),
        name: `load, ${name}`,
        artefact,
        timeoutMs,
        results: command.summaryFile,
        log: logFile,
        signal,
        ...(image === undefined ? {} : { image }),
      };
      try {
        const { exitCode, timedOut, tail } = await jobs.run(job);
        const end = timedOut ? 'timeout' : exitCode === undefined ? 'killed' : 'ended';
        return { exitCode, end, detail: tail.trim().split('\n').at(-1)?.slice(0, 300) ?? '' };
      } catch (error) {
        if (signal.aborted) return { exitCode: undefined, end: 'stopped', detail: '' };
        throw error;
      }
    },
  };
}

/**
 * Unpacks the archive from the environment and replaces itself by k6 (`exec`), so that signals reach k6. The files are
 * opened and then deleted, so that none is left behind if the job is killed. Arguments: path of the summary, k6, k6's
 * arguments.
 */
const unpack = [
  'set -e',
  'dir=$(mktemp -d)',
  'printf %s "$GREENLIGHT_SCRIPT" | base64 -d | gunzip > "$dir/script.tar"',
  'exec < "$dir/script.tar"',
  // Without K6_CONFIG k6 reads a settings file in the user's home.
  'echo "{}" > "$dir/k6.json"; exec 4< "$dir/k6.json"; export K6_CONFIG=/dev/fd/4',
  'if [ -n "$GREENLIGHT_CA" ]; then',
  '  printf %s "$GREENLIGHT_CA" > "$dir/ca.pem"; exec 3< "$dir/ca.pem"; export SSL_CERT_FILE=/dev/fd/3',
  'fi',
  'rm -r "$dir"',
  'export SUMMARY="$1"; shift',
  'unset GREENLIGHT_SCRIPT GREENLIGHT_CA',
  // `-`: k6 reads the archive from standard input.
  'exec "$@" -',
].join('\n');

async function segmentJob(command: K6Command, archive: string, program: string): Promise<Pick<Job, 'command' | 'env'>> {
  const { argv, env } = k6Command({ ...command, caFile: undefined, summaryFile: '' });
  const ca = command.caFile === undefined ? '' : await readFile(command.caFile, 'utf8');
  return {
    command: ['/bin/sh', '-c', unpack, 'sh', '{results}', program, ...argv.slice(1, -1)],
    env: { ...env, GREENLIGHT_SCRIPT: archive, GREENLIGHT_CA: ca },
  };
}

/** The script with its imports and the options of the load, compressed, as base64. It contains no secret. */
async function pack(command: K6Command): Promise<string> {
  const doing = `packing ${command.script} for tasks elsewhere`;
  const directory = await mkdtemp(join(tmpdir(), 'greenlight-script-'));
  try {
    const file = join(directory, 'script.tar');
    const { env } = k6Command({ ...command, caFile: undefined, routeHeaders: {} });
    const arguments_ = ['archive', '--exclude-env-vars', '--include-system-env-vars', '-O', file, command.script];
    const k6 = await execa(toolPath('k6'), arguments_, {
      ...childEnvironment({ ...env, K6_NO_USAGE_REPORT: 'true', K6_CONFIG: k6Settings }),
      all: true,
      timeout: 30_000,
      reject: false,
    });
    if (k6.exitCode !== 0)
      throw new OperationError(doing, k6.all.trim().slice(-300) || k6.shortMessage || '', 'run: k6 archive <script>');
    const text = (await promisify(gzip)(await readFile(file), { level: 9 })).toString('base64');
    if (text.length > mostBytes) {
      const found = `it takes ${text.length} bytes, packed; a task takes ${mostBytes}`;
      throw new OperationError(
        doing,
        found,
        'open no large files in the script: make its data, or fetch it in setup()',
      );
    }
    return text;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
