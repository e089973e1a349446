import { expect } from 'chai';
import { folderOf } from '../../../../automation/detect/folder.ts';
import { migrations, tools } from '../../../../automation/detect/migrations.ts';
import { packageJson } from './applications.ts';

const python = 'env PYTHONPATH=.packages:. python3';
const bin = 'node_modules/.bin';
const withPackage = (name: string): Record<string, string> => ({
  'package.json': packageJson({ dependencies: { [name]: '1' } }),
});

/** For every tool: what a folder has that uses it, its command, and the tables of its records. */
const cases: Record<string, { files: Record<string, string>; expand: string; records: string[] }> = {
  Prisma: {
    files: { 'prisma/schema.prisma': '' },
    expand: `${bin}/prisma migrate deploy`,
    records: ['_prisma_migrations'],
  },
  Drizzle: {
    files: { 'drizzle.config.ts': '' },
    expand: `${bin}/drizzle-kit migrate`,
    records: ['drizzle.__drizzle_migrations'],
  },
  Knex: {
    files: { 'knexfile.js': 'module.exports = {\n  production: {} }' },
    expand: `${bin}/knex migrate:latest --env production`,
    records: ['knex_migrations', 'knex_migrations_lock'],
  },
  TypeORM: {
    files: { ...withPackage('typeorm'), 'src/data.ts': 'export default new DataSource({})' },
    expand: `${bin}/typeorm-ts-node-commonjs migration:run -d src/data.ts`,
    records: ['migrations'],
  },
  Sequelize: {
    files: withPackage('sequelize-cli'),
    expand: `${bin}/sequelize-cli db:migrate`,
    records: ['SequelizeMeta'],
  },
  MikroORM: {
    files: withPackage('@mikro-orm/migrations'),
    expand: `${bin}/mikro-orm migration:up`,
    records: ['mikro_orm_migrations'],
  },
  'node-pg-migrate': {
    files: withPackage('node-pg-migrate'),
    expand: `${bin}/node-pg-migrate up`,
    records: ['pgmigrations'],
  },
  Alembic: { files: { 'alembic.ini': '' }, expand: `${python} -m alembic upgrade head`, records: ['alembic_version'] },
  'Flask-Migrate': {
    files: { 'migrations/alembic.ini': '' },
    expand: `${python} -m flask db upgrade`,
    records: ['alembic_version'],
  },
  Django: {
    files: { 'manage.py': 'django' },
    expand: `${python} manage.py migrate --noinput`,
    records: ['django_migrations'],
  },
  Rails: {
    files: { Gemfile: "gem 'rails'", 'db/migrate/1_a.rb': '' },
    expand: 'env RAILS_ENV=production bundle exec rails db:migrate',
    records: ['schema_migrations', 'ar_internal_metadata'],
  },
  Laravel: { files: { artisan: '' }, expand: 'php artisan migrate --force', records: ['migrations'] },
  goose: {
    files: { 'db/1_a.sql': '-- +goose Up\nSELECT 1;' },
    expand: 'sh -c exec goose -dir db postgres "$DATABASE_URL" up',
    records: ['goose_db_version'],
  },
  'golang-migrate': {
    files: {
      'db/1_a.up.sql': '',
      'db/1_a.down.sql': '',
      'go.mod': 'require github.com/golang-migrate/migrate/v4 v4.18.1',
    },
    expand: 'sh -c exec bin/migrate -path db -database "$DATABASE_URL" up',
    records: ['schema_migrations'],
  },
  dbmate: {
    files: { 'db/migrations/1_a.sql': '-- migrate:up\nSELECT 1;' },
    expand: 'dbmate --no-dump-schema -d db/migrations migrate',
    records: ['schema_migrations'],
  },
  Atlas: {
    files: { 'migrations/atlas.sum': '', 'migrations/1.sql': '' },
    expand: 'sh -c exec atlas migrate apply --dir file://migrations --url "$DATABASE_URL"',
    records: ['atlas_schema_revisions.atlas_schema_revisions'],
  },
  Flyway: {
    files: { 'sql/V1__a.sql': '' },
    expand:
      'sh -c rest=${DATABASE_URL#*://}; login=${rest%%@*}; export FLYWAY_URL="jdbc:postgresql://${rest#*@}" FLYWAY_USER="${login%%:*}" FLYWAY_PASSWORD="${login#*:}"; exec flyway -locations=filesystem:sql migrate',
    records: ['flyway_schema_history'],
  },
  Liquibase: {
    files: { 'db/changelog.xml': '' },
    expand:
      'sh -c rest=${DATABASE_URL#*://}; login=${rest%%@*}; export LIQUIBASE_COMMAND_URL="jdbc:postgresql://${rest#*@}" LIQUIBASE_COMMAND_USERNAME="${login%%:*}" LIQUIBASE_COMMAND_PASSWORD="${login#*:}"; exec liquibase --changelog-file=db/changelog.xml update',
    records: ['databasechangelog', 'databasechangeloglock'],
  },
};

describe('the migration tool of an application', () => {
  it('every tool has a case here', () => {
    expect(Object.keys(cases).sort()).to.deep.equal(tools.map(({ tool }) => tool).sort());
  });

  for (const [tool, { files, expand, records }] of Object.entries(cases))
    it(`${tool}: its command and its records`, () => {
      const found = migrations(folderOf(files)).migrations;
      expect(found?.tool).to.equal(tool);
      expect(found?.expand?.value.join(' ')).to.equal(expand);
      expect(found?.records).to.deep.equal(records);
    });

  it('plain SQL files: their folder', () => {
    const found = migrations(folderOf({ 'db/migrations/001_a.sql': '', 'db/migrations/002_b.sql': '' })).migrations;
    expect(found?.directory).to.deep.equal({ value: 'db/migrations', from: '2 SQL files' });
    expect(found?.expand).to.equal(undefined);
  });

  it('the application’s own script comes first: it knows its options', () => {
    const files = {
      'knexfile.js': '',
      'package.json': packageJson({ scripts: { 'db:migrate': 'knex migrate:latest --env prod' } }),
    };
    expect(migrations(folderOf(files)).migrations?.expand).to.deep.equal({
      value: [`${bin}/knex`, 'migrate:latest', '--env', 'prod'],
      from: 'package.json scripts.db:migrate',
    });
  });

  for (const script of ['node-pg-migrate', 'npm run build && knex migrate:latest', 'prisma migrate dev'])
    it(`a script that is not the whole migration is not taken: ${script}`, () => {
      const files = { 'prisma/schema.prisma': '', 'package.json': packageJson({ scripts: { migrate: script } }) };
      expect(migrations(folderOf(files)).migrations?.expand?.from).to.equal('prisma/schema.prisma');
    });

  it('a tool inside a Java application has no command that can be guessed', () => {
    const files = { 'pom.xml': 'flyway-core', 'src/main/resources/db/migration/V1__a.sql': '' };
    expect(migrations(folderOf(files)).migrations?.expand?.value[0]).to.match(/^TODO: name a command/);
  });

  it('two tools: one is taken, the other is said', () => {
    const found = migrations(folderOf({ 'alembic.ini': '', 'prisma/schema.prisma': '' }));
    expect(found.notes).to.deep.equal(['Prisma was taken for the migrations; Alembic was seen, too']);
  });

  it('none: nothing is said', () => {
    expect(migrations(folderOf({ 'seeds/a.sql': '' }))).to.deep.equal({});
  });
});
