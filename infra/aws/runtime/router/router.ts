import { ModifyRuleCommand, SetRulePrioritiesCommand, type Rule } from '@aws-sdk/client-elastic-load-balancing-v2';
import { OperationError } from '../../../lib/errors.ts';
import { inOrder } from '../../../lib/in-order.ts';
import { colours, type Colour, type EnvironmentSpec, type Split } from '../../../model.ts';
import type { EntryPoint, Router, RouterState } from '../../../platform/router.ts';
import type { FoundationOutputs } from '../../lib/foundation-reference.ts';
import { fenceProof, priorities } from '../../lib/routing-plan.ts';
import type { Clients } from '../client/clients.ts';
import { calling } from '../client/errors.ts';
import { fenceLease, resting, underChange } from './fence-lease.ts';
import { listenerRules, serversOf, createTargetGroups, owners, type TargetGroups } from './target-groups.ts';
import { agrees, createProbe, observe, probePaths, type Probe, type ProbeAnswer } from './probe.ts';
import { halfChanged, heldNoMore, notKept, nothingThere, rulesMissing } from './errors.ts';
import {
  actionFor,
  disagreeing,
  does,
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
  /** Of the authority of the entry point's certificate; absent where it is a public one. */
  caFile?: string;
  targetGroups?: TargetGroups;
  probe?: Probe;
  /** Of this machine, for what it did itself; ms. */
  now?: () => number;
  /** Longest wait until what AWS accepted is seen at the entry point, ms. */
  observeMs?: number;
  /** After a hold is seen, the time in which writes that had begun before are taken to be under way, ms. */
  drainMs?: number;
}

/** AWS names no time within which its balancers follow; "usually seconds" in its forum. */
const defaultObserveMs = 15_000;
/** Probes at once at each node: new connections, so few enough not to be a load. */
const parallel = 5;
/** Answers of the fence in a row that say that a node of the balancer knows. */
const fenceInARow = 20;

/** The load balancer of an environment on AWS, by its API and by what is seen through it. Needs neither the engine nor its state. */
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

  /** Changes rules one after the other. Where one fails, those before it are put back: a split is set whole or not at all. */
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
   * AWS changes one rule per call. Who dies in between leaves rules to both colours: then a fence that went down by itself would
   * let both databases be written to. So it stays up from the first change until all rules agree again, or a recovery makes them.
   * `moves`: from one colour to the other, for which a hold must not have ended meanwhile.
   */
  const keepingUp = async (
    { up }: MatchedRules,
    moves: boolean,
    doing: string,
    work: () => Promise<void>,
  ): Promise<void> => {
    if (up.length === 0 && moves && heldAt !== undefined) throw heldNoMore(doing);
    const { until, ends } = up.length === 0 ? resting : await lease.read(up, doing);
    if (until === 0) return work();
    const { now: marked } = await lease.set(up, `${until} ${underChange}`, doing);
    const agree = async () => {
      const present = await rules(doing);
      return liveColours(matchRules(spec, present), (await ownersOf(present)).ownerOf).length < 2;
    };
    try {
      // Its function may have seen the lease end before it was marked, and lower it now.
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
    const toDo = wanted.filter(({ rule, action }) => !does(rule, action));
    // Writes first: reads that are still at the old colour are those of a canary, which is a state that there may be.
    const inTurn = [...toDo.filter(({ weighted }) => !weighted), ...toDo.filter(({ weighted }) => weighted)];
    const before = liveColours(matched, ownerOf);
    // Where there are two already, a change was cut off: this ends it.
    const moves = before.length === 1 && before[0] !== split.live;
    await keepingUp(matched, moves, doing, async () => {
      await change(inTurn, doing, signal);
      const after = matchRules(spec, await rules(doing));
      const others = wanted.filter(
        ({ name, action }) => !after.routed.some((found) => found.name === name && does(found.rule, action)),
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

  /** Moves all rules of the fence in one call, and waits until probes say that every node has followed. */
  const move = async (fence: Rule[], to: 'up' | 'down', doing: string): Promise<void> => {
    const from = to === 'up' ? priorities.fenceDown : priorities.fenceUp;
    const base = to === 'up' ? priorities.fenceUp : priorities.fenceDown;
    const moved = fence.map(({ RuleArn, Priority }) => ({ RuleArn, Priority: base + Number(Priority) - from }));
    await calling(doing, () => balancer.send(new SetRulePrioritiesCommand({ RulePriorities: moved })));
  };

  const fenceSeen = async (up: boolean, deadline: number, doing: string): Promise<void> => {
    const request = fenceProof(spec);
    if (request === undefined) return;
    const right = ({ status, fence }: ProbeAnswer) => (up ? fence === 'up' : fence === undefined && status === 404);
    await observe({ probe, request, parallel, deadline, doing }, (answers) => {
      const last = answers.slice(-fenceInARow);
      return last.length === fenceInARow && last.every(right);
    });
  };

  const lower = async (doing: string): Promise<void> => {
    heldAt = undefined;
    const present = await rules(doing);
    const matched = matchRules(spec, present);
    const { fence, up } = matched;
    if (up.length > 0) {
      const live = liveColours(matched, (await ownersOf(present)).ownerOf);
      if (live.length > 1) throw halfChanged(doing, live);
      await move(up, 'down', doing);
      await fenceSeen(false, Date.now() + observeMs, doing);
    }
    // The last, so that a fence that is up always says until when.
    if (fence.length > 0) await lease.remove(fence, doing);
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
      return { split, ...(astray.length === 0 ? {} : { disagreeing: astray }), holdMs, servers };
    },

    async apply(split: Split, signal?: AbortSignal): Promise<void> {
      const doing = `setting the split to ${split.live}, ${split.percent} percent of the reads to the other colour`;
      const isPercent = Number.isInteger(split.percent) && split.percent >= 0 && split.percent <= 100;
      if (!colours.includes(split.live) || !isPercent)
        throw new OperationError(doing, 'it is not a split', 'give blue or green, and a whole percent from 0 to 100');
      await oneByOne(() => apply(split, doing, signal));
    },

    async hold(leaseMs: number): Promise<void> {
      const doing = `holding writes for at most ${leaseMs} ms`;
      if (!Number.isFinite(leaseMs) || leaseMs <= 0)
        throw new OperationError(doing, 'it is not a duration', 'give a positive number of milliseconds');
      await oneByOne(async () => {
        const seenBy = Date.now() + leaseMs;
        const { fence, up, missing } = matchRules(spec, await rules(doing));
        if (missing.length > 0) throw rulesMissing(doing, missing);
        // Where nothing is a write there is nothing to hold.
        if (fence.length === 0) return;
        const { now: began } = await lease.read(fence, doing);
        await lease.set(fence, String(Math.round(began + leaseMs)), doing);
        const atRest = fence.filter((rule) => !up.includes(rule));
        try {
          if (atRest.length > 0) await move(atRest, 'up', doing);
          await fenceSeen(true, Math.min(Date.now() + observeMs, seenBy), doing);
        } catch (error) {
          // Never held for some clients only.
          await lower(doing).catch(() => undefined);
          throw error;
        }
        heldAt ??= now();
      });
    },

    resumeWrites: () => oneByOne(() => lower('releasing held writes')),

    /**
     * A load balancer of AWS counts no requests that are under way. Once a hold was seen at the entry point no new write comes
     * in, so those from before are taken to be under way for `drainMs`: then none is. Without a hold nobody can tell, and none
     * is counted. What takes longer meets the fence of the database, which waits for it.
     */
    writesInFlight: () => Promise.resolve(heldAt !== undefined && now() < heldAt + drainMs ? 1 : 0),
  };
}

type Changes = (Routed & { action: NonNullable<Rule['Actions']>[number] })[];

/** Twice what 95 of 100 requests may take, and half a second at least: less than a cutover's default time for it. */
const longestWriteMs = ({ slo }: EnvironmentSpec): number => Math.max(500, 2 * slo.p95Ms);

/** A rule's actions as `ModifyRule` takes them: AWS says both forms, and accepts one. */
const forwardOf = ({ Actions = [] }: Rule): Rule['Actions'] =>
  Actions.map(({ ForwardConfig, TargetGroupArn, ...action }) =>
    ForwardConfig === undefined ? { ...action, TargetGroupArn } : { ...action, ForwardConfig },
  );
