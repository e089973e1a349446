import type { Answer, Hook } from '../../../emulated-account/hooks.ts';

interface Described {
  tasks?: { containers?: object[] }[];
}

/**
 * As GuardDuty's Runtime Monitoring does where an account has it: each task has a container of AWS's beside its own, told first.
 * It ends well, whatever became of the task. `told` is what ECS says of its own container, in the place of the truth.
 */
export const withSidecar = (hooks: Hook[], told: { exitCode?: number } = {}): Hook[] =>
  hooks.map((hook) => {
    if (!hook.actions.includes('DescribeTasks')) return hook;
    return { ...hook, before: async (call) => changed(await hook.before?.(call), told) };
  });

function changed(answer: Answer | undefined, told: object): Answer | undefined {
  if (answer === undefined || answer.status >= 300) return answer;
  const described = JSON.parse(answer.body.toString()) as Described;
  const sidecar = { name: 'aws-guardduty-agent-1', lastStatus: 'STOPPED', exitCode: 0 };
  const tasks = described.tasks?.map((task) => {
    const own = (task.containers ?? []).map((container) => ({ ...container, ...told }));
    return { ...task, containers: [sidecar, ...own] };
  });
  return { ...answer, body: Buffer.from(JSON.stringify({ ...described, tasks })) };
}
