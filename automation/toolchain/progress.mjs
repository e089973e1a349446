// Shows the progress of the set-up: one line that is rewritten on a terminal, a few lines in a log.
const everyMs = { terminal: 500, log: 60_000 };

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;

/** Steps of one lane run one after the other or share the processors, so their times add up. Lanes run in parallel. */
function expectedSeconds(steps) {
  const lanes = new Map();
  for (const { lane, seconds } of steps) lanes.set(lane, (lanes.get(lane) ?? 0) + seconds);
  return Math.max(0, ...lanes.values());
}

/** `1:05 of about 2:30: pulumi, k6` */
export function summary(steps, elapsed) {
  const expected = expectedSeconds(steps);
  const against = elapsed <= expected ? `of about ${clock(expected)}` : `(usually about ${clock(expected)})`;
  const names = steps.filter(({ running }) => running).map(({ name }) => name);
  return `${clock(elapsed)} ${against}: ${names.join(', ')}`;
}

/**
 * @param {{ isTTY?: boolean, columns?: number, write(text: string): unknown }} [stream]
 * @param {() => number} [now] milliseconds
 */
export function createProgress(stream = process.stderr, now = Date.now) {
  const terminal = stream.isTTY === true;
  const steps = [];
  const beginning = now();
  let timer;
  let drawn = false;

  function clear() {
    if (drawn) stream.write('\r\x1b[2K');
    drawn = false;
  }
  function draw() {
    const text = `  ${summary(steps, (now() - beginning) / 1000)}`;
    if (!terminal) return void stream.write(`${text}\n`);
    clear();
    stream.write(text.slice(0, (stream.columns ?? 80) - 1));
    drawn = true;
  }
  function say(text) {
    clear();
    stream.write(`${text}\n`);
  }
  const line = ({ name }, text) => say(`  ${name.padEnd(14)} ${text}`);
  const begun = (own) => line(own, `${own.what} (about ${own.seconds} s)${own.why ? `: ${own.why}` : ''}`);

  /**
   * Runs `work` as a step. A log gets a line at the begin and one at the end; a terminal gets the first one only if
   * there is a `why`. `work` may `change` the step.
   */
  async function step(begin, work) {
    const start = now();
    const own = { ...begin, running: true };
    steps.push(own);
    timer ??= setInterval(draw, terminal ? everyMs.terminal : everyMs.log);
    if (!terminal || own.why) begun(own);
    const change = (next) => begun(Object.assign(own, next));
    try {
      const result = await work(change);
      line(own, `${own.what}: done in ${Math.round((now() - start) / 1000)} s`);
      return result;
    } finally {
      // The expected total is now based on the real duration.
      Object.assign(own, { running: false, seconds: (now() - start) / 1000 });
      if (!steps.some(({ running }) => running)) stop();
    }
  }
  function stop() {
    clearInterval(timer);
    timer = undefined;
    clear();
  }
  return { say, step, draw, stop };
}
