/**
 * The layout of the code: every folder, from the ground up. A folder may import what its `may` names, and only folders
 * that stand before it in this list. So nothing imports upwards, and no two folders import each other. `lint/rule.js`
 * checks each import, `npm run graph` prints and checks the whole. A new folder, or a new arrow, is a line in this
 * file: a decision to be reviewed.
 *
 * An entry does not include sub-folders that have an entry of their own: a folder that may import `infra/local` may not
 * import `infra/local/haproxy`. A sub-folder without an entry belongs to the nearest folder above it that has one. A
 * file that stands beside folders (`infra/model.ts`) has an entry like a folder.
 */
const ground = ['infra/model.ts', 'infra/lib'];
const platform = [...ground, 'infra/platform'];
const shared = [...platform, 'infra/application'];
const awsRuntime = [...shared, 'infra/containers', 'infra/aws/lib', 'infra/aws/runtime/client'];
const awsStacks = [...ground, 'infra/application', 'infra/aws/lib', 'infra/aws/rights'];

export const layout = {
  // infra: what exists
  'infra/model.ts': { is: 'the vocabulary: an environment, as plain data', may: [] },
  'infra/lib': { is: 'the ground: helpers without a domain', may: ['infra/model.ts'] },
  'infra/stacks.ts': { is: 'names and configuration of the four stacks', may: ground },
  'infra/platform': { is: 'the interfaces that every platform implements', may: ground },
  'infra/application': { is: 'what an application is given: database, roles, its build', may: platform },
  'infra/containers': { is: 'container engines: images and containers on this machine', may: ground },
  'infra/policies': { is: 'rules for resources', may: [...ground, 'infra/stacks.ts'] },

  'infra/local/lib': { is: 'where the parts of a local environment lie', may: shared },
  'infra/local/supervisor': { is: 'processes and their ports', may: [...shared, 'infra/local/lib'] },
  'infra/local/haproxy': { is: 'the local balancer', may: [...shared, 'infra/local/lib'] },
  'infra/local/postgres': { is: 'local database clusters', may: [...shared, 'infra/local/lib'] },
  'infra/local/monitoring': {
    is: 'local metrics and alerts',
    may: [...platform, 'infra/local/lib', 'infra/local/haproxy'],
  },
  'infra/local/workers': {
    is: 'workers and schedules: their guards, whose turn it is',
    may: [...platform, 'infra/local/lib'],
  },
  'infra/local/provider': {
    is: 'the Pulumi provider of local resources',
    may: [
      ...shared,
      'infra/local/lib',
      'infra/local/supervisor',
      'infra/local/haproxy',
      'infra/local/postgres',
      'infra/local/monitoring',
    ],
  },
  'infra/local/stacks': {
    is: 'Pulumi programs of the local platform',
    may: [
      ...shared,
      'infra/stacks.ts',
      'infra/containers',
      'infra/local/lib',
      'infra/local/supervisor',
      'infra/local/workers',
      'infra/local/provider',
    ],
  },
  'infra/local/runtime': {
    is: 'the interfaces of the local platform that need no server of their own',
    may: [
      ...shared,
      'infra/containers',
      'infra/local/lib',
      'infra/local/supervisor',
      'infra/local/haproxy',
      'infra/local/postgres',
      'infra/local/provider',
    ],
  },
  'infra/local': {
    is: 'the local platform, put together',
    may: [
      ...shared,
      'infra/containers',
      'infra/local/lib',
      'infra/local/haproxy',
      'infra/local/postgres',
      'infra/local/monitoring',
      'infra/local/workers',
      'infra/local/runtime',
    ],
  },

  'infra/aws/lib': {
    is: 'names, settings and outputs that programs and runtime on AWS share',
    may: [...ground, 'infra/stacks.ts'],
  },
  'infra/aws/rights': { is: 'IAM policies', may: [...ground, 'infra/aws/lib'] },
  'infra/aws/stacks/storage': { is: 'keys, buckets, log groups', may: awsStacks },
  'infra/aws/stacks/database': {
    is: 'RDS instances and what belongs to them',
    may: [...awsStacks, 'infra/aws/stacks/storage'],
  },
  'infra/aws/stacks/network': {
    is: 'VPC, balancer, listener rules, write hold',
    may: [...awsStacks, 'infra/aws/stacks/storage', 'infra/aws/stacks/database'],
  },
  'infra/aws/stacks/services': {
    is: 'ECS services and one-off tasks',
    may: [...awsStacks, 'infra/aws/stacks/storage', 'infra/aws/stacks/network'],
  },
  'infra/aws/stacks/monitoring': { is: 'alarms, dashboard, notifications, budget', may: awsStacks },
  'infra/aws/stacks': {
    is: 'Pulumi programs on AWS',
    may: [
      ...awsStacks,
      'infra/stacks.ts',
      'infra/aws/stacks/storage',
      'infra/aws/stacks/database',
      'infra/aws/stacks/network',
      'infra/aws/stacks/services',
      'infra/aws/stacks/monitoring',
    ],
  },
  'infra/aws/pipeline': { is: 'the stack that releases on AWS', may: [...awsStacks, 'infra/aws/stacks/storage'] },
  'infra/aws/runtime/client': { is: 'calls of AWS: clients, errors, waiting', may: [...platform, 'infra/aws/lib'] },
  'infra/aws/runtime/account': { is: 'whether the account can be released to', may: awsRuntime },
  'infra/aws/runtime/engine': { is: 'what the Pulumi engine needs on AWS', may: awsRuntime },
  'infra/aws/runtime/shared': { is: 'leases and records that several machines share', may: awsRuntime },
  'infra/aws/runtime/router': { is: 'the balancer on AWS', may: awsRuntime },
  'infra/aws/runtime/databases': { is: 'databases on RDS', may: awsRuntime },
  'infra/aws/runtime/backups': { is: 'backups on RDS', may: [...awsRuntime, 'infra/aws/runtime/databases'] },
  'infra/aws/runtime/instances': {
    is: 'what runs on ECS and RDS',
    may: [...awsRuntime, 'infra/aws/runtime/router', 'infra/aws/runtime/databases'],
  },
  'infra/aws/runtime/metrics': {
    is: 'metrics and alerts of CloudWatch',
    may: [...awsRuntime, 'infra/aws/runtime/router', 'infra/aws/runtime/databases', 'infra/aws/runtime/instances'],
  },
  'infra/aws/runtime/jobs': {
    is: 'one-off tasks, previews, images, artefacts on AWS',
    may: [...awsRuntime, 'infra/aws/runtime/router', 'infra/aws/stacks/services'],
  },
  'infra/program.ts': {
    is: 'name of a stack -> its program',
    may: [
      ...ground,
      'infra/stacks.ts',
      'infra/local/stacks',
      'infra/aws/lib',
      'infra/aws/stacks',
      'infra/aws/pipeline',
    ],
  },
  'infra/aws/declared': {
    is: 'what the programs declare, found without an account',
    may: [...ground, 'infra/stacks.ts', 'infra/aws/lib', 'infra/program.ts'],
  },
  'infra/aws/cost': { is: 'prices and estimates', may: [...ground, 'infra/aws/lib', 'infra/aws/declared'] },
  'infra/aws': {
    is: 'the platform on AWS, put together',
    may: [
      ...awsRuntime,
      'infra/aws/declared',
      'infra/aws/cost',
      'infra/aws/runtime/account',
      'infra/aws/runtime/engine',
      'infra/aws/runtime/shared',
      'infra/aws/runtime/router',
      'infra/aws/runtime/databases',
      'infra/aws/runtime/backups',
      'infra/aws/runtime/instances',
      'infra/aws/runtime/metrics',
      'infra/aws/runtime/jobs',
    ],
  },

  // automation: how a version goes live
  'automation/toolchain': { is: 'set-up and pinned tools', may: ['infra/lib'] },
  'automation/config': { is: 'the release definition', may: [...ground, 'infra/aws/lib', 'infra/application'] },
  'automation/detect': {
    is: 'what an application is, from its folder; facts -> definition',
    may: ['infra/lib', 'automation/config'],
  },
  'automation/journal': { is: 'events, verdicts and what is read from them', may: [...ground, 'automation/config'] },
  'automation/stacks': { is: 'the Pulumi engine', may: [...platform, 'infra/stacks.ts', 'infra/program.ts'] },
  'automation/canary': {
    is: 'statistics and judgement of traffic',
    may: [...platform, 'automation/config', 'automation/journal'],
  },

  'automation/data': { is: 'sessions, catalog and schema of a database', may: shared },
  'automation/data/objects': {
    is: 'the whole catalog of a database as data, and its comparison',
    may: [...shared, 'automation/data'],
  },
  'automation/data/migrations': {
    is: 'the migration runner, and the judgement of migrations',
    may: [...shared, 'automation/config', 'automation/data'],
  },
  'automation/data/masking': { is: 'masking of personal data', may: [...shared, 'automation/data'] },
  'automation/data/publication': {
    is: 'what can be replicated, and by whom written',
    may: [...shared, 'automation/data'],
  },
  'automation/data/copying': {
    is: 'copy of a database by its schema and its rows',
    may: [...shared, 'automation/data'],
  },
  'automation/data/replication': {
    is: 'replication in one direction at a time',
    may: [
      ...shared,
      'automation/data',
      'automation/data/objects',
      'automation/data/publication',
      'automation/data/copying',
    ],
  },
  'automation/data/kept': {
    is: 'what only the new version knows, kept aside at a way back',
    may: [...shared, 'automation/data', 'automation/data/replication'],
  },
  'automation/data/comparison': {
    is: 'whether two databases are equal',
    may: [...shared, 'automation/journal', 'automation/data', 'automation/data/objects', 'automation/data/replication'],
  },
  'automation/data/effects': {
    is: 'what a migration did to a copy: looked at, and judged',
    may: [
      ...shared,
      'automation/journal',
      'automation/data',
      'automation/data/objects',
      'automation/data/migrations',
      'automation/data/comparison',
    ],
  },
  'automation/data/cutover': {
    is: 'the move of writes from one database to the other',
    may: [
      ...shared,
      'automation/journal',
      'automation/data',
      'automation/data/objects',
      'automation/data/replication',
      'automation/data/comparison',
    ],
  },

  'automation/gates': { is: 'how a gate is run and its evidence kept', may: [...platform, 'automation/journal'] },
  'automation/gates/web': {
    is: 'gates on TLS, headers, authentication, routes; the forwarder',
    may: [...platform, 'automation/journal'],
  },
  'automation/gates/tests': {
    is: "gates on the application's own tests",
    may: [...platform, 'automation/journal', 'automation/gates/web'],
  },
  'automation/gates/load': { is: 'gates on load', may: [...platform, 'automation/journal', 'automation/gates/web'] },
  'automation/gates/scan': {
    is: 'gates by security scanners',
    may: [...platform, 'automation/journal', 'automation/gates/web'],
  },
  'automation/gates/data': {
    is: 'gates on data',
    may: [
      ...platform,
      'automation/journal',
      'automation/data/migrations',
      'automation/data/effects',
      'automation/data/replication',
    ],
  },
  'automation/gates/environment': {
    is: 'gates on alerts, parity, policies',
    may: [...platform, 'infra/policies', 'automation/journal'],
  },

  'automation/report/model': { is: 'journal -> facts of a report', may: [...ground, 'automation/journal'] },
  'automation/report/html': { is: 'facts -> HTML', may: [...ground, 'automation/journal', 'automation/report/model'] },
  'automation/report': {
    is: 'the report: files and formats',
    may: [...ground, 'automation/journal', 'automation/report/model', 'automation/report/html'],
  },

  'automation/release/context': {
    is: 'what the stages of one release share',
    may: [
      ...platform,
      'automation/config',
      'automation/journal',
      'automation/stacks',
      'automation/data',
      'automation/gates',
      'infra/application',
      'automation/gates/load',
    ],
  },
  'automation/release/synthetic': {
    is: 'marked traffic beside a release',
    may: [
      ...platform,
      'automation/journal',
      'automation/canary',
      'automation/data/comparison',
      'automation/gates/data',
      'automation/gates/load',
      'automation/gates/web',
      'automation/release/context',
    ],
  },
  'automation/release/steps/traffic': {
    is: 'what stages do with traffic',
    may: [
      ...platform,
      'automation/journal',
      'automation/canary',
      'automation/data',
      'automation/data/replication',
      'automation/data/comparison',
      'automation/data/cutover',
      'automation/gates/data',
      'automation/release/context',
    ],
  },
  'automation/release/steps/tests': {
    is: "the application's own tests, and what stands in for them",
    may: [...platform, 'automation/config', 'automation/journal', 'automation/gates/tests', 'automation/gates/web'],
  },
  'automation/release/steps/data': {
    is: 'what stages do with databases',
    may: [
      ...shared,
      'automation/config',
      'automation/journal',
      'automation/data',
      'automation/data/migrations',
      'automation/data/effects',
      'automation/data/kept',
      'automation/data/masking',
      'automation/data/publication',
      'automation/data/copying',
      'automation/data/replication',
      'automation/data/comparison',
      'automation/gates/data',
      'automation/release/context',
      'automation/release/steps/traffic',
      'automation/release/steps/tests',
    ],
  },
  'automation/release/steps': {
    is: 'what several stages do',
    may: [
      ...platform,
      'infra/policies',
      'automation/config',
      'automation/journal',
      'automation/data',
      'automation/data/masking',
      'automation/gates/web',
      'automation/gates/load',
      'automation/gates/scan',
      'automation/gates/environment',
      'automation/release/context',
      'automation/release/steps/tests',
    ],
  },
  'automation/release/stages': {
    is: 'the stages, a file each',
    may: [
      ...shared,
      'automation/config',
      'automation/journal',
      'automation/stacks',
      'automation/data',
      'automation/data/kept',
      'automation/data/publication',
      'automation/data/replication',
      'automation/data/cutover',
      'automation/gates/tests',
      'automation/gates/data',
      'automation/gates/environment',
      'automation/report',
      'automation/release/context',
      'automation/release/synthetic',
      'automation/release/steps',
      'automation/release/steps/data',
      'automation/release/steps/traffic',
      'automation/release/steps/tests',
    ],
  },
  'automation/release': {
    is: 'the loop: plan, start, run, resume',
    may: [
      ...platform,
      'automation/config',
      'automation/journal',
      'automation/stacks',
      'automation/data/cutover',
      'automation/report',
      'automation/release/context',
      'automation/release/synthetic',
      'automation/release/steps',
      'automation/release/steps/traffic',
      'automation/release/stages',
    ],
  },
  'automation/check': {
    is: 'trial of a version beside all environments: what a release would refuse',
    may: [
      ...shared,
      'automation/config',
      'automation/journal',
      'automation/data',
      'automation/data/masking',
      'automation/data/publication',
      'automation/data/migrations',
      'automation/gates/web',
      'automation/release/context',
      'automation/release/steps',
      'automation/release/steps/data',
    ],
  },
  'automation/ui': {
    is: 'journal and plan -> terminal',
    may: [
      ...platform,
      'automation/journal',
      'automation/data/comparison',
      'automation/report/model',
      'automation/release',
    ],
  },
  'automation/commands': {
    is: 'the command line, a file per verb',
    may: [
      ...platform,
      'infra/containers',
      'automation/detect',
      'automation/check',
      'infra/local',
      'infra/aws',
      'automation/toolchain',
      'automation/config',
      'automation/journal',
      'automation/stacks',
      'automation/data',
      'automation/data/publication',
      'automation/data/replication',
      'automation/data/comparison',
      'automation/release/context',
      'automation/release/stages',
      'automation/release/steps',
      'automation/release',
      'automation/ui',
    ],
  },
  'automation/cli.ts': {
    is: 'the program',
    may: ['infra/lib', 'automation/config', 'automation/ui', 'automation/commands'],
  },

  // beside the product, which knows none of it
  package: { is: 'makes the npm package', may: ['automation/config'] },
  loadtests: { is: 'scripts for k6', may: [] },
  examples: { is: 'the sample application', may: [] },
  'greenlight.config.ts': { is: 'the release definition of the sample', may: ['automation/config'] },
};
