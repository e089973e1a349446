import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import type { Task } from '@aws-sdk/client-ecs';
import {
  DescribeTargetHealthCommand,
  RegisterTargetsCommand,
  type Tag,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { databaseFields } from '../../../application/database-url.ts';
import { describeHealth } from '../../../application/health.ts';
import { OperationError } from '../../../lib/errors.ts';
import type { Artefact, ServiceSpec } from '../../../model.ts';
import { projectRoot } from '../../../lib/paths.ts';
import type { DatabaseAccess } from '../../../platform/databases.ts';
import type { Preview, Previews } from '../../../platform/jobs.ts';
import { authoritiesFile, servicePort } from '../../lib/names.ts';
import { routesOf } from '../../lib/routing-plan.ts';
import { taskEnvironment } from '../../stacks/services/service-environment.ts';
import { calling } from '../client/errors.ts';
import { readLog } from './wrapper.ts';
import {
  containerOf,
  cureOf,
  describeTask,
  notStarted,
  startFailure,
  startTask,
  stopTask,
  streamName,
  type StartedTask,
} from './task.ts';
import { createGroup, createRoute, deleteGroup, deleteRoute, previewHeader, sweepRoutes } from './preview-routes.ts';
import type { Setting } from '../client/setting.ts';
import { asTagList, shortId, temporaryTags, type Tags } from '../client/temporary.ts';
import { until } from '../client/waiting.ts';

export interface PreviewWaits {
  pollMs: number;
  /** Longest time until a task runs, including the pull of its image, ms. */
  startMs: number;
  /** Longest time from then until the balancer reports it healthy, ms. */
  healthyMs: number;
}

export const previewWaits: PreviewWaits = { pollMs: 3000, startMs: 10 * 60_000, healthyMs: 3 * 60_000 };

/** How long a preview may be needed, ms: longer than the acceptance tests of both versions take. */
const lifeMs = 6 * 3_600_000;
const logTail = 10;

export interface PreviewsOptions extends Setting {
  redact?: (text: string) => string;
  waits?: Partial<PreviewWaits>;
}

export interface AwsPreviews extends Previews {
  /**
   * Deletes rules and target groups of previews that ended runs left behind. Resolves to their ARNs. Call it only while
   * the environment is locked, and after `sweepTasks`.
   */
  sweep(): Promise<string[]>;
}

/** Previews: tasks behind the entry point, reached by a secret header. */
export function createAwsPreviews(options: PreviewsOptions): AwsPreviews {
  const waits = { ...previewWaits, ...options.waits };
  return {
    serve: (artefact, access) => serve(options, waits, artefact, access),
    sweep: () => sweepRoutes(options),
  };
}

async function serve(
  setting: PreviewsOptions,
  waits: PreviewWaits,
  artefact: Artefact,
  access: DatabaseAccess,
): Promise<Preview> {
  const { environment, foundation, settings } = setting;
  const { spec, baseUrl } = foundation;
  const doing = `starting ${artefact.version} on a database of its own`;
  const marks = { environment, application: spec.application, owner: settings.owner };
  const tags = temporaryTags(marks, `preview of ${artefact.version}`, lifeMs);
  // Letters and digits only: `*` and `?` are wildcards in a rule's condition.
  const secret = randomBytes(24).toString('hex');
  const resources = new PreviewResources(setting);
  try {
    await calling(doing, async () => {
      const groups = await resources.routes(spec.services, secret, asTagList(tags));
      // Wait for every start to settle before undoing: a task may still start while another one fails.
      const started = await Promise.allSettled(
        spec.services.map((service) => resources.task(service, artefact, access, tags, { doing, waits })),
      );
      const tasks = started.map((one) => {
        if (one.status === 'rejected') throw one.reason;
        return one.value;
      });
      await Promise.all(
        spec.services.map((service, index) =>
          untilHealthy(setting, waits, {
            service,
            doing,
            arn: tasks[index]?.arn ?? '',
            groupArn: groups.get(service.name) ?? '',
          }),
        ),
      );
    });
  } catch (error) {
    await resources.undo();
    throw error;
  }
  const { entry } = settings.authorities;
  const caFile = entry === undefined ? {} : { caFile: resolve(projectRoot(), entry) };
  return { baseUrl, ...caFile, routeHeaders: { [previewHeader]: secret }, dispose: () => resources.undo() };
}

/** The resources of one preview, with their deletion. */
class PreviewResources {
  readonly #setting: Setting;
  readonly #rules: string[] = [];
  readonly #groups: string[] = [];
  readonly #tasks: StartedTask[] = [];

  constructor(setting: Setting) {
    this.#setting = setting;
  }

  /**
   * Creates target groups and the rules to them. Resolves to the groups by service. A balancer checks no target of a
   * group without a rule.
   */
  async routes(services: ServiceSpec[], secret: string, tags: Tag[]): Promise<Map<string, string>> {
    const groups = new Map<string, string>();
    const id = shortId();
    for (const [index, service] of services.entries()) {
      const groupArn = await createGroup(this.#setting, `greenlight-preview-${id}-${index}`, service, tags);
      this.#groups.push(groupArn);
      groups.set(service.name, groupArn);
    }
    for (const { prefix, service } of routesOf({ services })) {
      const groupArn = groups.get(service) ?? '';
      this.#rules.push(await createRoute(this.#setting, { prefix, secret, groupArn, tags }));
    }
    return groups;
  }

  async task(
    service: ServiceSpec,
    artefact: Artefact,
    access: DatabaseAccess,
    tags: Tags,
    { doing, waits }: { doing: string; waits: PreviewWaits },
  ): Promise<StartedTask> {
    const database = databaseFields({ ...access, caFile: authoritiesFile }, 'app');
    const about = { version: artefact.version, colour: 'preview' } as const;
    const { variables, secrets } = taskEnvironment(this.#setting.foundation, service, about, database);
    const started = await startTask(
      this.#setting,
      {
        kind: 'preview',
        container: service.name,
        artefact,
        command: service.start,
        environment: variables,
        secrets,
        port: servicePort,
        stopSeconds: service.stopSeconds,
        tags,
      },
      { doing, pollMs: waits.pollMs, capacityMs: waits.startMs },
    );
    this.#tasks.push(started);
    return started;
  }

  /** A failed deletion does not fail the release: the sweep deletes the resource later. */
  async undo(): Promise<void> {
    const all = (work: Promise<void>[]) => Promise.allSettled(work);
    await all(this.#rules.splice(0).map((rule) => deleteRoute(this.#setting, rule)));
    const end = async (task: StartedTask) => {
      await stopTask(this.#setting, task.arn, 'the preview is over').catch(() => undefined);
      await task.forget();
    };
    await all([
      ...this.#tasks.splice(0).map(end),
      ...this.#groups.splice(0).map((group) => deleteGroup(this.#setting, group)),
    ]);
  }
}

interface Target {
  service: ServiceSpec;
  arn: string;
  groupArn: string;
  doing: string;
}

/** Registers a task as soon as it runs, and waits until the balancer reports it healthy. */
async function untilHealthy(setting: PreviewsOptions, waits: PreviewWaits, target: Target): Promise<void> {
  const { clients } = setting;
  const { service, arn, groupArn, doing } = target;
  const { pollMs } = waits;
  const startMs = (service.startSeconds ?? 0) * 1000;
  const todo = `look at the log stream ${streamName('preview', service.name, arn)} of ${setting.foundation.jobs.logGroup}`;
  const running = await until({ doing, deadlineMs: waits.startMs, pollMs, todo }, async () => {
    const task = await alive(setting, target);
    const address = task === undefined ? undefined : addressOf(task);
    if (task?.lastStatus === 'RUNNING' && address !== undefined) return { address };
    return `the task of ${service.name} is ${task?.lastStatus ?? 'not known yet'}`;
  });
  const Targets = [{ Id: running.address, Port: servicePort }];
  await clients.balancer.send(new RegisterTargetsCommand({ TargetGroupArn: groupArn, Targets }));
  await until({ doing, deadlineMs: Math.max(waits.healthyMs, startMs), pollMs, todo }, async () => {
    await alive(setting, target);
    const command = new DescribeTargetHealthCommand({ TargetGroupArn: groupArn, Targets });
    const { TargetHealthDescriptions } = await clients.balancer.send(command);
    const { State, Reason, Description } = TargetHealthDescriptions?.[0]?.TargetHealth ?? {};
    if (State === 'healthy') return {};
    const said = [State ?? 'not known yet', Reason, Description].filter(Boolean).join(', ');
    return `${service.name} at ${describeHealth(service.health)} is ${said}`;
  });
}

/** The task. Rejects with the end of its log if the task has stopped. */
async function alive(setting: PreviewsOptions, { service, arn, doing }: Target): Promise<Task | undefined> {
  const task = await describeTask(setting, arn);
  if (task?.lastStatus !== 'STOPPED') return task;
  const failure = startFailure(task, service.name);
  if (failure !== undefined) throw notStarted(doing, failure);
  const wait = { pollMs: 500, waitMs: 10_000, complete: (lines: string[]) => lines.length > 0 };
  const lines = await readLog(setting, streamName('preview', service.name, arn), wait).catch(() => []);
  const redact = setting.redact ?? ((text: string) => text);
  const said = lines
    .slice(-logTail)
    .map((line) => `\n  ${redact(line)}`)
    .join('');
  const { exitCode, reason = '' } = containerOf(task, service.name) ?? {};
  throw new OperationError(
    doing,
    `${service.name} ended with exit code ${exitCode} ${reason}${said}`,
    reason === '' ? `check application.services start: ${service.start.join(' ')}` : cureOf(reason),
  );
}

/** The task's private address, from its network interface. */
export function addressOf({ attachments }: Pick<Task, 'attachments'>): string | undefined {
  const details = attachments?.find(({ type }) => type === 'ElasticNetworkInterface')?.details;
  return details?.find(({ name }) => name === 'privateIPv4Address')?.value;
}
