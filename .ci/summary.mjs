// Reads what .ci/run left in a folder, shows what failed, and ends with one line: `N passed, N failed`.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const tailLines = 40;

/**
 * Beginning and end of an error. A command's output stands in the message where an end-to-end test failed: what was
 * expected is in its first lines, and why it came otherwise in its last ones.
 */
function excerpt(error, head, tail) {
  const lines = error.trimEnd().split('\n');
  const left = lines.length - head - tail;
  const shown = left > 1 ? [...lines.slice(0, head), `... ${left} lines ...`, ...lines.slice(-tail)] : lines;
  return shown.map((line) => `    ${line}`);
}

/** What the tests' reporter wrote, one result per line; nothing where they did not come so far. */
function readResults(directory) {
  let text;
  try {
    text = readFileSync(join(directory, 'tests.jsonl'), 'utf8');
  } catch {
    return [];
  }
  // Killed while it wrote: the last line may be half.
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
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
  const results = readResults(directory);
  const inState = (state) => results.filter((result) => result.state === state);
  let passed = inState('passed').length;
  let failed = inState('failed').length;
  for (const { title, file, error } of inState('failed')) {
    lines.push('', `FAILED ${title}`, `    ${file ?? ''}`, ...excerpt(error, 8, tailLines));
  }
  const none = passed + failed === 0;
  const code = codeOf(directory, 'tests');
  const cutOff = code === 124 || code === 137; // timeout's, and a kill's
  if (none || cutOff || (code !== 0 && failed === 0)) {
    failed += 1;
    const why = none ? 'no test ran' : cutOff ? 'npm test was cut off' : 'npm test, although no test failed';
    lines.push('', `FAILED ${why}`, ...tailOf(directory, 'tests'));
  }
  for (const name of ['lint', 'typecheck']) {
    if (codeOf(directory, name) === 0) {
      passed += 1;
    } else {
      failed += 1;
      lines.push('', `FAILED ${name}`, ...tailOf(directory, name));
    }
  }
  const skipped = inState('skipped').length;
  if (skipped > 0) lines.push('', `${skipped} tests were skipped; they count as neither.`);
  lines.push('', `${passed} passed, ${failed} failed`);
  return { passed, failed, text: lines.join('\n') };
}

if (process.argv[1] === import.meta.filename) {
  const { failed, text } = summarise(process.argv[2]);
  console.log(text);
  process.exitCode = failed === 0 ? 0 : 1;
}
