/** Seconds after which a client should try again: a cutover holds writes for about one. */
export const retryAfterSeconds = 1;
/** The same where writes are refused: a read-only window lasts longer. */
export const refusedRetrySeconds = 10;

/**
 * Minimum time between two reads of the rules by one instance, ms. A random part of up to the same length is added. A
 * burst of writes starts many instances, and each read makes two of the calls that AWS limits per account: 40 at once,
 * refilled by 10 a second. The release needs them too.
 */
const pauseMs = 1000;

/**
 * The listener, the places of the write hold's rules (from `routing-plan.ts`), the tag that says until when
 * writes are held (ms since the epoch), and the one that says whether they are refused. From the function's environment.
 *
 * @param {Record<string, string | undefined>} environment
 */
export const settingsOf = (environment) => ({
  listenerArn: environment['LISTENER_ARN'] ?? '',
  leaseTag: environment['LEASE_TAG'] ?? '',
  writesTag: environment['WRITES_TAG'] ?? '',
  /** @type {{ up: number, end: number, down: number }[]} */
  places: JSON.parse(environment['FENCE_PLACES'] ?? '[]'),
});

/**
 * The rules of a write hold that is on, with the priorities that switch them off. Empty if the hold is off.
 *
 * @param {{ RuleArn?: string, Priority?: string }[]} rules
 * @param {{ places: { up: number, end: number, down: number }[] }} at
 */
export const switchedOff = (rules, { places }) =>
  rules.flatMap(({ RuleArn, Priority }) => {
    const place = places.find(({ up, end }) => Number(Priority) >= up && Number(Priority) < end);
    return place === undefined ? [] : [{ RuleArn, Priority: place.down + Number(Priority) - place.up }];
  });

/**
 * The end of the hold, ms since the epoch: the latest one that a rule names. Undefined if no rule names one: then the
 * hold does not end by itself.
 *
 * @param {{ Tags?: { Key?: string, Value?: string }[] }[]} descriptions
 * @param {string} tag
 */
export function leaseEnd(descriptions, tag) {
  const ends = descriptions
    .flatMap(({ Tags }) => Tags ?? [])
    .filter(({ Key }) => Key === tag)
    .map(({ Value }) => Number(Value))
    .filter((value) => Number.isFinite(value) && value > 0);
  return ends.length === 0 ? undefined : Math.max(...ends);
}

/**
 * Whether writes are refused, and not held: users were told, and clients need not come again at once.
 *
 * @param {{ Tags?: { Key?: string, Value?: string }[] }[]} descriptions
 * @param {string} tag
 */
export const areRefused = (descriptions, tag) =>
  descriptions.some(({ Tags = [] }) => Tags.some(({ Key, Value }) => Key === tag && Value === 'refused'));

/**
 * Answers every write while writes are held. A load balancer's fixed response cannot carry a Retry-After header, so a
 * function answers instead. If the lease has expired, because the releasing program crashed, the function ends the
 * hold: this write still gets 503, and the next one goes to the live colour. Clients repeat a refused write, so an
 * instance reads the rules only after a pause, and then not before the lease that it saw ends. Until its first reading it
 * answers a refused write like a held one. Nothing of a request is kept or logged.
 *
 * @param {{ settings: ReturnType<typeof settingsOf>, balancer: () => Promise<Balancer>, now?: () => number, log?: (line: string) => void }} options
 *
 * @typedef {{
 *   rules(listenerArn: string): Promise<{ RuleArn?: string, Priority?: string }[]>,
 *   tags(arns: string[]): Promise<{ Tags?: { Key?: string, Value?: string }[] }[]>,
 *   setPriorities(rules: { RuleArn: string | undefined, Priority: number }[]): Promise<void>,
 * }} Balancer
 */
export function fence({ settings, balancer, now = Date.now, log = console.error }) {
  const afterPause = () => now() + pauseMs * (1 + Math.random());
  let nextReadAt = afterPause();
  let refuses = false;

  const endIfExpired = async () => {
    // Without them every hold would look like one that is off.
    if (settings.places.length === 0) throw new Error('FENCE_PLACES is not set');
    const calls = await balancer();
    const rules = switchedOff(await calls.rules(settings.listenerArn), settings);
    if (rules.length === 0) return 'lowered';
    const tags = await calls.tags(rules.map(({ RuleArn }) => RuleArn ?? ''));
    refuses = areRefused(tags, settings.writesTag);
    const end = leaseEnd(tags, settings.leaseTag);
    if (end === undefined || end > now()) {
      nextReadAt = Math.max(nextReadAt, end ?? 0);
      return 'up';
    }
    await calls.setPriorities(rules);
    log(`the lease of the write hold ended at ${new Date(end).toISOString()}: the hold is switched off`);
    return 'lowered';
  };

  return async () => {
    if (now() < nextReadAt) return answer('up', refuses);
    nextReadAt = afterPause();
    // If the rules cannot be read, keep returning 503; the next write retries.
    const state = await endIfExpired().catch((error) => {
      log(`reading the rules of the write hold: ${error?.name}: ${error?.message}`);
      return 'up';
    });
    return answer(state, refuses);
  };
}

/**
 * @param {string} state
 * @param {boolean} refused
 */
const answer = (state, refused) => ({
  statusCode: 503,
  statusDescription: '503 Service Unavailable',
  isBase64Encoded: false,
  headers: {
    'retry-after': String(refused ? refusedRetrySeconds : retryAfterSeconds),
    'cache-control': 'no-store',
    'content-type': 'text/plain; charset=utf-8',
    // Tells this 503 from one of the application: a hold counts as set when it is seen.
    'x-greenlight-fence': state,
    ...(refused ? { 'x-greenlight-writes': 'refused' } : {}),
  },
  body: refused
    ? 'This application can be read. It takes changes again soon. What was just sent was not saved.\n'
    : 'Please try again in a moment.\n',
});

/** The calls, by the SDK of the Lambda runtime. Loaded when the rules are read for the first time. */
async function awsBalancer() {
  const { ElasticLoadBalancingV2, paginateDescribeRules } = await import('@aws-sdk/client-elastic-load-balancing-v2');
  // No retries: a later write repeats a failed call.
  const client = new ElasticLoadBalancingV2({ maxAttempts: 1 });
  return {
    async rules(ListenerArn) {
      const rules = [];
      for await (const page of paginateDescribeRules({ client }, { ListenerArn })) rules.push(...(page.Rules ?? []));
      return rules;
    },
    // One call describes at most 20.
    tags: async (arns) => (await client.describeTags({ ResourceArns: arns.slice(0, 20) })).TagDescriptions ?? [],
    async setPriorities(RulePriorities) {
      await client.setRulePriorities({ RulePriorities });
    },
  };
}

let calls;
export const handler = fence({
  settings: settingsOf(process.env),
  balancer: () => (calls ??= awsBalancer().catch((error) => ((calls = undefined), Promise.reject(error)))),
});
