import { ModifyRuleCommand, SetRulePrioritiesCommand, type Rule } from '@aws-sdk/client-elastic-load-balancing-v2';
import { OperationError } from '../../../lib/errors.ts';
import { inOrder } from '../../../lib/in-order.ts';
import { colours, type Colour, type EnvironmentSpec, type Split } from '../../../model.ts';
import type { EntryPoint, Router, RouterState } from '../../../platform/router.ts';
import type { FoundationOutputs } from '../../lib/foundation-reference.ts';
import { fenceProof, movedInFence } from '../../lib/routing-plan.ts';
import type { Clients } from '../client/clients.ts';
import { calling } from '../client/errors.ts';
import { fenceLease, resting, underChange } from './fence-lease.ts';
import { listenerRules, serversOf, createTargetGroups, owners, type TargetGroups } from './target-groups.ts';
import { agrees, createProbe, observe, probePaths, type Probe, type ProbeAnswer } from './probe.ts';
import { halfChanged, heldInPart, heldNoMore, notKept, nothingThere, rulesMissing } from './errors.ts';
import {
  actionFor,
  disagreeing,
  hasAction,
  liveColours,
  matchRules,
  splitOf,
  type MatchedRules,
  type Routed,
} from './rules.ts';

export interface AwsRouterOptions {
  clients: Pick<Clients, 'balancer'>;
  foundation: Pick<FoundationOutputs, 'baseUrl' | 'listenerArn'>;
  spec: EnvironmentSpec;
  /** Value of `x-greenlight-secret`. */
  routeSecret: string;
  /** PEM file of the authority of the entry point's certificate. Absent: a public one. */
  caFile?: string;
  targetGroups?: TargetGroups;
  probe?: Probe;
  /** Clock of this machine, ms since the epoch. Used only for times that this machine measures itself. */
  now?: () => number;
  /** Longest wait until a change that AWS accepted is seen at the entry point, ms. */
  observeMs?: number;
  /** Time after a hold is seen for which earlier writes count as in flight, ms. */
  drainMs?: number;
}

/** AWS documents no time within which its balancers apply a change; its forum says "usually seconds". */
export const defaultObserveMs = 15_000;
/** Concurrent probes per node. Each is a new connection, so few enough not to be a load. */
const parallel = 5;
/** Answers of the write hold in a row that prove that a node of the balancer has applied it. */
const fenceInARow = 20;

/**
 * The load balancer of an environment on AWS, through its API and through probes. Needs neither the engine nor its
 * state.
 */
export function createAwsRouter(options: AwsRouterOptions): Router {
  const { clients, foundation, spec, routeSecret, caFile, now = Date.now, observeMs = defaultObserveMs } = options;
  const { balancer } = clients;
  const lease = fenceLease(balancer);
  const groups = options.targetGroups ?? createTargetGroups(balancer);
  const entry: EntryPoint = {
    baseUrl: foundation.baseUrl,
    caFile,
    routeHeaders: (colour) => ({ 'x-greenlight-colour': colour, 'x-greenlight-secret': routeSecret }),
  };
  const probe = options.probe ?? createProbe(entry);
  const drainMs = options.drainMs ?? longestWriteMs(spec);
  const oneByOne = inOrder();
  let heldAt: number | undefined;

  const rules = (doing: string): Promise<Rule[]> =>
    calling(doing, () => listenerRules(clients, foundation.listenerArn));

  const modify = (name: string, { RuleArn }: Rule, Actions: Rule['Actions'], doing: string) =>
    calling(`${doing}: the rule ${name}`, () => balancer.send(new ModifyRuleCommand({ RuleArn, Actions })));

  /** Changes rules one after the other. If one fails, those changed before are restored as far as AWS accepts it. */
  const change = async (wanted: Changes, doing: string, signal: AbortSignal | undefined): Promise<void> => {
    const begun: Changes = [];
    try {
      for (const one of wanted) {
        signal?.throwIfAborted();
        begun.push(one);
        await modify(one.name, one.rule, [one.action], doing);
      }
    } catch (error) {
      for (const { name, rule } of begun.toReversed())
        await modify(name, rule, forwardOf(rule), `${doing}, putting back`).catch(() => undefined);
      throw error;
    }
  };

  const ownersOf = async (present: Rule[]) => owners(await groups.of(present));

  /**
   * AWS changes one rule per call, so a crash in between leaves rules for both colours. If the write hold ended by
   * itself then, both databases would be written to. So it stays on from the first change until all rules agree again,
   * here or after a recovery. `moves`: writes move to the other colour, so the hold must not have ended meanwhile, and
   * none of its rules may be off.
   */
  const keepHolding = async (
    { fence, up }: MatchedRules,
    moves: boolean,
    doing: string,
    work: () => Promise<void>,
  ): Promise<void> => {
    if (up.length === 0 && moves && heldAt !== undefined) throw heldNoMore(doing);
    if (up.length > 0 && up.length < fence.length && moves) throw heldInPart(doing);
    const { until, ends } = up.length === 0 ? resting : await lease.read(up, doing);
    if (until === 0) return work();
    const { now: marked } = await lease.set(up, `${until} ${underChange}`, doing);
    const agree = async () => {
      const present = await rules(doing);
      return liveColours(matchRules(spec, present), (await ownersOf(present)).ownerOf).length < 2;
    };
    try {
      // The function may have seen the lease end before the mark was set, and may be ending the hold right now.
      const stillUp = async () => matchRules(spec, await rules(doing)).up.length >= up.length;
      if (moves && ((ends && marked >= until) || !(await stillUp()))) throw heldNoMore(doing);
      await work();
    } catch (error) {
      if (await agree().catch(() => false)) await lease.set(up, String(until), doing).catch(() => undefined);
      throw error;
    }
    await lease.set(up, String(until), doing);
  };

  const apply = async (split: Split, doing: string, signal: AbortSignal | undefined): Promise<void> => {
    const present = await rules(doing);
    const matched = matchRules(spec, present);
    if (matched.missing.length > 0) throw rulesMissing(doing, matched.missing);
    const { arnOf, ownerOf } = await ownersOf(present);
    const need = (owner: { colour: Colour; service: string }): string => {
      const arn = arnOf(owner);
      if (arn === undefined) throw nothingThere(doing, owner);
      return arn;
    };
    const wanted = matched.routed.map((routed) => ({ ...routed, action: actionFor(routed, split, need) }));
    const toDo = wanted.filter(({ rule, action }) => !hasAction(rule, action));
    // Writes first: reads that still go to the old colour are a valid state, that of a canary.
    const ordered = [...toDo.filter(({ weighted }) => !weighted), ...toDo.filter(({ weighted }) => weighted)];
    const before = liveColours(matched, ownerOf);
    // Two live colours: an earlier change was interrupted, and this call completes it.
    const moves = before.length === 1 && before[0] !== split.live;
    await keepHolding(matched, moves, doing, async () => {
      await change(ordered, doing, signal);
      const after = matchRules(spec, await rules(doing));
      const others = wanted.filter(
        ({ name, action }) => !after.routed.some((found) => found.name === name && hasAction(found.rule, action)),
      );
      if (others.length > 0)
        throw notKept(
          doing,
          others.map(({ name }) => name),
        );
    });
    const deadline = Date.now() + observeMs;
    const seen = (answers: ProbeAnswer[]) => agrees(answers, split);
    await Promise.all(
      probePaths(spec).map((path) =>
        observe({ probe, request: { method: 'GET', path }, parallel, deadline, doing }, seen),
      ),
    );
  };

  /** Moves all rules of the write hold in one call, to the priorities at which they are on or off. */
  const move = async (fence: Rule[], to: 'up' | 'down', doing: string): Promise<void> => {
    const moved = fence.map(({ RuleArn, Priority }) => ({ RuleArn, Priority: movedInFence(Number(Priority), to) }));
    await calling(doing, () => balancer.send(new SetRulePrioritiesCommand({ RulePriorities: moved })));
  };

  const holdSeen = async (up: boolean, deadline: number, doing: string): Promise<void> => {
    const request = fenceProof(spec);
    const right = ({ status, fence }: ProbeAnswer) => (up ? fence === 'up' : fence === undefined && status === 404);
    await observe({ probe, request, parallel, deadline, doing }, (answers) => {
      const last = answers.slice(-fenceInARow);
      return last.length === fenceInARow && last.every(right);
    });
  };

  const endHold = async (doing: string): Promise<void> => {
    heldAt = undefined;
    const present = await rules(doing);
    const matched = matchRules(spec, present);
    const { fence, up } = matched;
    if (up.length > 0) {
      const live = liveColours(matched, (await ownersOf(present)).ownerOf);
      if (live.length > 1) throw halfChanged(doing, live);
      await move(up, 'down', doing);
      await holdSeen(false, Date.now() + observeMs, doing);
    }
    // The tag is removed last, so that a hold that is on always has a lease.
    if (fence.length > 0) await lease.remove(fence, doing);
  };

  /** Leads writes to the function, which answers 503: a held and a refused write differ by when the client is to come again. */
  const stop = async (leaseMs: number, writes: 'held' | 'refused', signal: AbortSignal | undefined): Promise<void> => {
    const doing = `${writes === 'held' ? 'holding' : 'refusing'} writes for at most ${leaseMs} ms`;
    if (!Number.isFinite(leaseMs) || leaseMs <= 0)
      throw new OperationError(doing, 'it is not a duration', 'give a positive number of milliseconds');
    await oneByOne(async () => {
      signal?.throwIfAborted();
      const seenBy = Date.now() + leaseMs;
      const { fence, up, missing } = matchRules(spec, await rules(doing));
      if (missing.length > 0) throw rulesMissing(doing, missing);
      const before = await lease.read(fence, doing);
      const { now: set } = await lease.set(fence, String(Math.round(before.now + leaseMs)), doing, writes);
      const atRest = fence.filter((rule) => !up.includes(rule));
      // The function cannot have seen a lease end that was renewed in time: the rules stay where they have been seen.
      if (writes === 'refused' && before.refuses && atRest.length === 0 && set < before.until) return;
      try {
        if (atRest.length > 0) await move(atRest, 'up', doing);
        await holdSeen(true, Math.min(Date.now() + observeMs, seenBy), doing);
      } catch (error) {
        // A hold that not every node applies would hold the writes of some clients only.
        await endHold(doing).catch(() => undefined);
        throw error;
      }
      heldAt ??= now();
    });
  };

  return {
    entry,
    settlesMs: observeMs,

    async read(): Promise<RouterState> {
      const doing = 'reading the rules of the load balancer';
      const present = await rules(doing);
      const matched = matchRules(spec, present);
      const known = await groups.of(present);
      const { up } = matched;
      const [held, servers] = await Promise.all([
        up.length === 0 ? resting : lease.read(up, doing),
        serversOf(clients, known),
      ]);
      const { ownerOf } = owners(known);
      const split = splitOf(matched, ownerOf);
      const astray = split === undefined ? [] : disagreeing(matched, split, ownerOf);
      const holdMs = Math.max(held.ends ? 0 : 1, held.until - held.now);
      const refuses = held.refuses && holdMs > 0 ? { refuses: true as const } : {};
      return { split, ...(astray.length === 0 ? {} : { disagreeing: astray }), holdMs, ...refuses, servers };
    },

    async apply(split: Split, signal?: AbortSignal): Promise<void> {
      const doing = `setting the split to ${split.live}, ${split.percent} percent of the reads to the other colour`;
      const isPercent = Number.isInteger(split.percent) && split.percent >= 0 && split.percent <= 100;
      if (!colours.includes(split.live) || !isPercent)
        throw new OperationError(doing, 'it is not a split', 'give blue or green, and a whole percent from 0 to 100');
      await oneByOne(() => apply(split, doing, signal));
    },

    hold: (leaseMs: number, _?: Split, signal?: AbortSignal) => stop(leaseMs, 'held', signal),

    refuse: (leaseMs: number, signal?: AbortSignal) => stop(leaseMs, 'refused', signal),

    resumeWrites: () => oneByOne(() => endHold('releasing held writes')),

    /**
     * A load balancer of AWS does not count requests in flight. Once the hold is seen at the entry point, no new write
     * comes in: earlier ones count as in flight for `drainMs`. Without a hold the number is unknown, and reported as 0.
     * A write that takes longer is waited for by the fence of the database.
     */
    writesInFlight: () => Promise.resolve(heldAt !== undefined && now() < heldAt + drainMs ? 1 : 0),
  };
}

type Changes = (Routed & { action: NonNullable<Rule['Actions']>[number] })[];

/** Twice the p95 that the SLO allows, at least 500 ms: less than the default deadline of the drain. */
const longestWriteMs = ({ slo }: EnvironmentSpec): number => Math.max(500, 2 * slo.p95Ms);

/** A rule's actions as `ModifyRule` takes them: AWS returns both forms of a target, and accepts only one. */
const forwardOf = ({ Actions = [] }: Rule): Rule['Actions'] =>
  Actions.map(({ ForwardConfig, TargetGroupArn, ...action }) =>
    ForwardConfig === undefined ? { ...action, TargetGroupArn } : { ...action, ForwardConfig },
  );
