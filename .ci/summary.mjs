// Reads what .ci/run left in a folder, shows what failed, and ends with one line: `N passed, N failed`.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const tailLines = 40;

/** What mocha's JSON reporter wrote, or undefined where it wrote nothing: then no test counts as passed. */
function readTests(directory) {
  try {
    return JSON.parse(readFileSync(join(directory, 'tests.json'), 'utf8'));
  } catch {
    return undefined;
  }
}

const codeOf = (directory, name) => Number(readFileSync(join(directory, `${name}.code`), 'utf8'));

function tailOf(directory, name) {
  const lines = readFileSync(join(directory, `${name}.log`), 'utf8')
    .trimEnd()
    .split('\n');
  return lines.slice(-tailLines).map((line) => `    ${line}`);
}

/** Counts and text of a whole run. Pure but for reading `directory`. */
export function summarise(directory) {
  const lines = [];
  const tests = readTests(directory);
  let passed = tests?.stats.passes ?? 0;
  let failed = tests?.stats.failures ?? 0;
  for (const { fullTitle, file, err } of tests?.failures ?? []) {
    const message = (err.stack ?? err.message ?? '').split('\n').slice(0, 8);
    lines.push('', `FAILED ${fullTitle}`, `    ${file ?? ''}`, ...message.map((line) => `    ${line}`));
  }
  const none = tests === undefined || tests.stats.tests === 0;
  if (none || (codeOf(directory, 'tests') !== 0 && failed === 0)) {
    failed += 1;
    lines.push(
      '',
      none ? 'FAILED no test ran' : 'FAILED npm test, although no test failed',
      ...tailOf(directory, 'tests'),
    );
  }
  for (const name of ['lint', 'typecheck']) {
    if (codeOf(directory, name) === 0) {
      passed += 1;
    } else {
      failed += 1;
      lines.push('', `FAILED ${name}`, ...tailOf(directory, name));
    }
  }
  const skipped = tests?.stats.pending ?? 0;
  if (skipped > 0) lines.push('', `${skipped} tests were skipped; they count as neither.`);
  lines.push('', `${passed} passed, ${failed} failed`);
  return { passed, failed, text: lines.join('\n') };
}

if (process.argv[1] === import.meta.filename) {
  const { failed, text } = summarise(process.argv[2]);
  console.log(text);
  process.exitCode = failed === 0 ? 0 : 1;
}
