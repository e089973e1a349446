import { commandOf, manifestOf } from './node.ts';
import { fact, type Fact, type Facts, type MigrationFacts } from './facts.ts';
import type { Folder } from './folder.ts';
import { pythonCommand, requirementsOf } from './python.ts';
import { find, grep, has } from './text.ts';

/** What the rows below ask of a folder. */
interface Seen {
  folder: Folder;
  /** Packages of package.json. */
  npm: Record<string, string>;
  scripts: Record<string, string>;
  python: ReadonlySet<string>;
  goMod: string;
  java: string;
  gems: string;
}

interface Tool {
  tool: string;
  /** Tables in which it keeps what it has done. */
  records: string[];
  /** From what it follows that it is used, and the command; undefined where it is not. */
  found(seen: Seen): Fact<string[]> | undefined;
  /** Something that has to be built for it. */
  prepare?(seen: Seen): Fact<string[]>[];
}

const bin = (name: string, ...args: string[]): string[] => [`node_modules/.bin/${name}`, ...args];
const shell = (text: string): string[] => ['sh', '-c', text];
/** The login in the form of JDBC, in variables: an argument would be seen by everybody on the machine. */
const jdbc = (url: string, user: string, password: string): string =>
  `rest=\${DATABASE_URL#*://}; login=\${rest%%@*}; export ${url}="jdbc:postgresql://\${rest#*@}" ${user}="\${login%%:*}" ${password}="\${login#*:}";`;
/** Where SQL files of a tool lie, by a pattern of their paths. */
const folderOfFiles = (folder: Folder, pattern: RegExp): string | undefined =>
  find(folder, pattern)?.split('/').slice(0, -1).join('/');
const goPackage = { goose: 'github.com/pressly/goose/v3', migrate: 'github.com/golang-migrate/migrate/v4' };
const gooseFiles = (folder: Folder): string | undefined =>
  grep(folder, /\.sql$/, /^-- \+goose Up/m)
    ?.file.split('/')
    .slice(0, -1)
    .join('/');
const upFiles = (folder: Folder): string | undefined => folderOfFiles(folder, /\.up\.sql$/);

/** A tool of Go is built beside the application where its module is required; else it has to be installed. */
const goTool = (seen: Seen, name: keyof typeof goPackage): string =>
  seen.goMod.includes(goPackage[name]) ? `bin/${name}` : seen.folder.program(name);
const goBuild = (seen: Seen, name: keyof typeof goPackage, tags: string[]): Fact<string[]>[] =>
  seen.goMod.includes(goPackage[name])
    ? [
        fact(
          ['go', 'build', '-mod=mod', ...tags, '-o', `bin/${name}`, `${goPackage[name]}/cmd/${name}`],
          `go.mod requires ${goPackage[name]}`,
        ),
      ]
    : [];

/** Every tool that is known, those that others are built on last. */
export const tools: Tool[] = [
  {
    tool: 'Prisma',
    records: ['_prisma_migrations'],
    found: ({ folder }) => {
      const schema = find(folder, /\.prisma$/);
      if (schema === undefined) return undefined;
      const elsewhere = schema === 'prisma/schema.prisma' ? [] : ['--schema', schema];
      return fact(bin('prisma', 'migrate', 'deploy', ...elsewhere), schema);
    },
  },
  {
    tool: 'Drizzle',
    records: ['drizzle.__drizzle_migrations'],
    found: ({ folder }) => {
      const config = find(folder, /^drizzle\.config\.\w+$/);
      return config === undefined ? undefined : fact(bin('drizzle-kit', 'migrate'), config);
    },
  },
  {
    tool: 'Knex',
    records: ['knex_migrations', 'knex_migrations_lock'],
    found: ({ folder }) => {
      const file = find(folder, /(^|\/)knexfile\.\w+$/);
      if (file === undefined) return undefined;
      const named = /^\s*['"]?production['"]?\s*:/m.test(folder.read(file) ?? '') ? ['--env', 'production'] : [];
      const elsewhere = file.includes('/') ? ['--knexfile', file] : [];
      return fact(bin('knex', 'migrate:latest', ...elsewhere, ...named), file);
    },
  },
  {
    tool: 'TypeORM',
    records: ['migrations'],
    found: ({ folder, npm }) => {
      if (npm['typeorm'] === undefined) return undefined;
      const source = grep(folder, /\.(ts|js|mjs|cjs)$/, /new DataSource\(/)?.file;
      if (source === undefined) return undefined;
      const tool = source.endsWith('.ts') ? 'typeorm-ts-node-commonjs' : 'typeorm';
      return fact(bin(tool, 'migration:run', '-d', source), source);
    },
  },
  {
    tool: 'Sequelize',
    records: ['SequelizeMeta'],
    found: ({ folder, npm }) => {
      const rc = find(folder, /^\.sequelizerc$/);
      if (npm['sequelize-cli'] === undefined && rc === undefined) return undefined;
      return fact(bin('sequelize-cli', 'db:migrate'), rc ?? 'package.json sequelize-cli');
    },
  },
  {
    tool: 'MikroORM',
    records: ['mikro_orm_migrations'],
    found: ({ npm }) =>
      npm['@mikro-orm/migrations'] === undefined
        ? undefined
        : fact(bin('mikro-orm', 'migration:up'), 'package.json @mikro-orm/migrations'),
  },
  {
    tool: 'node-pg-migrate',
    records: ['pgmigrations'],
    found: ({ npm }) =>
      npm['node-pg-migrate'] === undefined
        ? undefined
        : fact(bin('node-pg-migrate', 'up'), 'package.json node-pg-migrate'),
  },
  {
    tool: 'Alembic',
    records: ['alembic_version'],
    found: ({ folder }) =>
      has(folder, 'alembic.ini')
        ? fact(pythonCommand(folder, '-m', 'alembic', 'upgrade', 'head'), 'alembic.ini')
        : undefined,
  },
  {
    tool: 'Flask-Migrate',
    records: ['alembic_version'],
    found: ({ folder }) =>
      has(folder, 'migrations/alembic.ini')
        ? fact(pythonCommand(folder, '-m', 'flask', 'db', 'upgrade'), 'migrations/alembic.ini')
        : undefined,
  },
  {
    tool: 'Django',
    records: ['django_migrations'],
    found: ({ folder }) =>
      has(folder, 'manage.py') && /django/i.test(folder.read('manage.py') ?? '')
        ? fact(pythonCommand(folder, 'manage.py', 'migrate', '--noinput'), 'manage.py')
        : undefined,
  },
  {
    tool: 'Rails',
    records: ['schema_migrations', 'ar_internal_metadata'],
    found: ({ folder, gems }) =>
      /\brails\b/.test(gems) && find(folder, /^db\/(migrate\/|schema\.rb|structure\.sql)/) !== undefined
        ? fact(['env', 'RAILS_ENV=production', folder.program('bundle'), 'exec', 'rails', 'db:migrate'], 'db/migrate')
        : undefined,
  },
  {
    tool: 'Laravel',
    records: ['migrations'],
    found: ({ folder }) =>
      has(folder, 'artisan') ? fact([folder.program('php'), 'artisan', 'migrate', '--force'], 'artisan') : undefined,
  },
  {
    tool: 'goose',
    records: ['goose_db_version'],
    found: (seen) => {
      const directory = gooseFiles(seen.folder);
      if (directory === undefined) return undefined;
      const at = directory === '' ? '.' : directory;
      return fact(shell(`exec ${goTool(seen, 'goose')} -dir ${at} postgres "$DATABASE_URL" up`), `${at}: -- +goose Up`);
    },
    prepare: (seen) => (gooseFiles(seen.folder) === undefined ? [] : goBuild(seen, 'goose', [])),
  },
  {
    tool: 'golang-migrate',
    records: ['schema_migrations'],
    found: (seen) => {
      const directory = upFiles(seen.folder);
      if (directory === undefined) return undefined;
      const at = directory === '' ? '.' : directory;
      return fact(shell(`exec ${goTool(seen, 'migrate')} -path ${at} -database "$DATABASE_URL" up`), `${at}/*.up.sql`);
    },
    prepare: (seen) => (upFiles(seen.folder) === undefined ? [] : goBuild(seen, 'migrate', ['-tags', 'postgres'])),
  },
  {
    tool: 'dbmate',
    records: ['schema_migrations'],
    found: ({ folder }) => {
      const file = grep(folder, /\.sql$/, /^-- migrate:up/m)?.file;
      if (file === undefined) return undefined;
      const directory = file.split('/').slice(0, -1).join('/');
      return fact(
        [folder.program('dbmate'), '--no-dump-schema', '-d', directory, 'migrate'],
        `${directory}: -- migrate:up`,
      );
    },
  },
  {
    tool: 'Atlas',
    records: ['atlas_schema_revisions.atlas_schema_revisions'],
    found: ({ folder }) => {
      const sum = find(folder, /(^|\/)atlas\.sum$/);
      if (sum === undefined) return undefined;
      const directory = sum.split('/').slice(0, -1).join('/') || '.';
      return fact(
        shell(`exec ${folder.program('atlas')} migrate apply --dir file://${directory} --url "$DATABASE_URL"`),
        sum,
      );
    },
  },
  {
    tool: 'Flyway',
    records: ['flyway_schema_history'],
    found: ({ folder, java }) => {
      const file = find(folder, /(^|\/)V\d[\d._]*__[^/]*\.sql$/);
      const config = find(folder, /^(flyway\.(conf|toml)|conf\/flyway\.conf)$/);
      if (file === undefined && config === undefined) return undefined;
      const directory = file?.split('/').slice(0, -1).join('/') ?? 'sql';
      if (/flyway-core|flyway-database-postgresql/.test(java))
        return fact(
          [
            'TODO: name a command that runs the migrations and ends; an application that migrates when it starts does so on both colours',
          ],
          `${directory}: Flyway inside the application`,
        );
      return fact(
        shell(
          `${jdbc('FLYWAY_URL', 'FLYWAY_USER', 'FLYWAY_PASSWORD')} exec ${folder.program('flyway')} -locations=filesystem:${directory} migrate`,
        ),
        config ?? file ?? '',
      );
    },
  },
  {
    tool: 'Liquibase',
    records: ['databasechangelog', 'databasechangeloglock'],
    found: ({ folder, java }) => {
      const log = find(folder, /(^|\/)(db\.)?changelog[\w.-]*\.(xml|ya?ml|json|sql)$/);
      if (log === undefined) return undefined;
      if (/liquibase-core/.test(java))
        return fact(
          [
            'TODO: name a command that runs the migrations and ends; an application that migrates when it starts does so on both colours',
          ],
          `${log}: Liquibase inside the application`,
        );
      const login = jdbc('LIQUIBASE_COMMAND_URL', 'LIQUIBASE_COMMAND_USERNAME', 'LIQUIBASE_COMMAND_PASSWORD');
      return fact(shell(`${login} exec ${folder.program('liquibase')} --changelog-file=${log} update`), log);
    },
  },
];

/** The migration tool, and where there is none a folder of plain SQL files. */
export function migrations(folder: Folder): Facts {
  const manifest = manifestOf(folder);
  const seen: Seen = {
    folder,
    npm: manifest?.packages ?? {},
    scripts: manifest?.scripts ?? {},
    python: requirementsOf(folder)?.names ?? new Set(),
    goMod: folder.read('go.mod') ?? '',
    java: `${folder.read('pom.xml') ?? ''}${folder.read('build.gradle') ?? ''}${folder.read('build.gradle.kts') ?? ''}`,
    gems: folder.read('Gemfile') ?? '',
  };
  const found = tools.flatMap((tool) => {
    const expand = tool.found(seen);
    return expand === undefined ? [] : [{ tool, expand }];
  });
  const [first, ...more] = found;
  if (first === undefined) return plainFiles(folder);
  const { tool } = first;
  return {
    migrations: { tool: tool.tool, expand: byScript(seen) ?? first.expand, records: tool.records },
    ...(tool.prepare === undefined ? {} : { prepare: tool.prepare(seen) }),
    notes:
      more.length === 0
        ? []
        : [`${tool.tool} was taken for the migrations; ${more.map((m) => m.tool.tool).join(', ')} was seen, too`],
  };
}

/** The application's own script knows its options. One that needs another script, or does more, is not taken. */
function byScript({ scripts }: Seen): Fact<string[]> | undefined {
  const named = Object.entries(scripts).find(([name]) =>
    /^(db:)?(migrate|migrations?)(:(up|run|deploy|latest|prod))?$/.test(name),
  );
  if (named === undefined || /&&|\bnpm\b|\byarn\b|\bdev\b|dotenv|--create|create|make/.test(named[1])) return undefined;
  const command = commandOf(named[1]);
  // A tool that is told what to do by further arguments does nothing by itself.
  const bare = command.length === 1 && /node-pg-migrate|knex|sequelize-cli|dbmate$/.test(command[0] ?? '');
  return bare ? undefined : fact(command, `package.json scripts.${named[0]}`);
}

function plainFiles(folder: Folder): Facts {
  const pattern = /^(.*\/)?(migrations?|sql|schema|db)\/\d[^/]*\.sql$/i;
  const directory = folderOfFiles(folder, pattern);
  if (directory !== undefined) {
    const facts: MigrationFacts = {
      tool: 'plain SQL files',
      directory: fact(
        directory,
        `${folder.files.filter((f) => f.startsWith(`${directory}/`) && f.endsWith('.sql')).length} SQL files`,
      ),
      records: [],
    };
    return { migrations: facts };
  }
  return {};
}
