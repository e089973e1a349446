import {
  breaksOldVersion,
  lasting,
  mayBreakReplication,
  notTransactional,
  sideBySide,
  type Finding,
} from './findings.ts';
import { judgeIndex } from './judge-constraint.ts';
import { judgeDrop, judgeOther, judgeRename, judgeTypes } from './judge-object.ts';
import { judgeRows } from './judge-rows.ts';
import { judgeAlter, type Around } from './judge-table.ts';
import { KnownSchema } from './known-schema.ts';
import { madeBy } from './definitions.ts';
import { learn } from './learn.ts';
import type { Phase } from './phases.ts';
import { refusalOf } from './refusals.ts';
import type { Statement } from './statements.ts';
import { nameOf } from './tree.ts';

/** What is known of one migration file when it is judged. */
export interface FileToJudge {
  name: string;
  statements: readonly Statement[];
  /** `applied`: the live side has it. `first`: there is no old version, and nothing is replicated. */
  as: 'applied' | 'first' | Phase;
}

export interface Judgement extends Omit<Finding, 'rule'> {
  file: string;
  line: number;
  /** `unread`: the parser refuses the file, so nothing is known of it. */
  rule: Finding['rule'] | 'safe' | 'unread';
}

/**
 * Judges every statement of the files that are to be applied, at least once each, by the parse trees alone. Files are given in
 * the order in which they run: all expand files, then the incompatible ones, then the contract files. What the files before have made is known, so that a
 * statement about a table that the live side does not have is safe.
 */
export function judgeMigrations(files: readonly FileToJudge[]): Judgement[] {
  const schema = new KnownSchema();
  const judgements: Judgement[] = [];
  for (const { name: file, statements, as } of files) {
    // At whatever place: what the file drops and makes again is replaced.
    const made = new Set(statements.flatMap(({ node }) => (node === undefined ? [] : (madeBy(node)?.join(' ') ?? []))));
    schema.home = 'public';
    for (const [index, statement] of statements.entries()) {
      const around = { file, later: statements.slice(index + 1), made };
      const found: Finding[] = [];
      for (const step of stepsOf(statement)) {
        if (as !== 'applied') found.push(...keptBy(as, judgeStatement(schema, step, around)));
        if (step.node !== undefined) learn(schema, step.node, { file, line: step.line, pending: as !== 'applied' });
      }
      if (as === 'applied') continue;
      const all = found.length > 0 ? found : [statement.node === undefined ? unread(statement) : safe];
      const line = refusalOf(statement)?.line ?? statement.refused?.line ?? statement.line;
      judgements.push(...all.map((one) => ({ file, line, ...one })));
    }
  }
  return [...judgements, ...keyless(schema)];
}

/** The commands of an ALTER TABLE one by one: what one of them drops, another may replace. */
const stepsOf = (statement: Statement): Statement[] => {
  const { node } = statement;
  if (node === undefined || !('AlterTableStmt' in node)) return [statement];
  const { cmds = [], ...rest } = node.AlterTableStmt;
  return cmds.map((command) => ({ ...statement, node: { AlterTableStmt: { ...rest, cmds: [command] } } }));
};

const unread = ({ refused }: Statement): Omit<Judgement, 'file' | 'line'> => ({
  rule: 'unread',
  stops: true,
  why: `the file cannot be read as SQL of PostgreSQL: ${refused?.why ?? ''}`,
  instead: 'correct it; psql and other tools take more than PostgreSQL does',
});

const safe = { rule: 'safe', stops: false, why: '', instead: '' } as const;

/** Where no old version is left, only what harms users or the next release counts. */
function keptBy(as: FileToJudge['as'], found: Finding[]): Finding[] {
  if (as === 'expand') return found;
  return found.flatMap((one) => {
    if (one.rule === 'not-transactional') return [one];
    if (one.lasting === true) return [{ ...one, stops: false }];
    return one.rule === 'long-lock' && as !== 'first' ? [one] : [];
  });
}

function judgeStatement(
  schema: KnownSchema,
  statement: Statement,
  around: Around & { made: ReadonlySet<string> },
): Finding[] {
  const refusal = refusalOf(statement);
  if (refusal !== undefined) return [notTransactional(refusal.why, refusal.instead)];
  const { node } = statement;
  if (node === undefined) return [];
  if ('AlterTableStmt' in node) return judgeAlter(schema, node.AlterTableStmt, around);
  if ('IndexStmt' in node && node.IndexStmt.relation !== undefined) {
    const name = nameOf(node.IndexStmt.relation);
    return schema.isNewTable(name) || schema.isNewObject('view', name)
      ? []
      : judgeIndex(schema, schema.table(name), node.IndexStmt);
  }
  if ('DropStmt' in node) return judgeDrop(schema, node.DropStmt, around.made);
  if ('RenameStmt' in node) return judgeRename(schema, node.RenameStmt);
  if ('AlterObjectSchemaStmt' in node) {
    const { relation, object, objectType } = node.AlterObjectSchemaStmt;
    const name = relation === undefined ? JSON.stringify(object ?? objectType) : nameOf(relation);
    if (relation !== undefined && schema.isNewTable(name)) return [];
    return [
      breaksOldVersion(`${name} moves to another schema, where the old version does not look for it`, sideBySide),
    ];
  }
  return [...judgeTypes(schema, node), ...judgeOther(schema, node), ...judgeRows(schema, node)];
}

/** A new table without a key works, until the next release cannot publish it. */
const keyless = (schema: KnownSchema): Judgement[] =>
  [...schema.tables.values()].flatMap(({ name, isNew, keyed, made, persistence }) => {
    if (!isNew || made === undefined || persistence === 'temporary') return [];
    const unlogged = persistence === 'unlogged';
    if (keyed && !unlogged) return [];
    return [
      {
        file: made.file,
        line: made.line,
        ...lasting(
          unlogged
            ? mayBreakReplication(`${name} is unlogged, and its rows are not replicated`, 'leave UNLOGGED out')
            : mayBreakReplication(
                `${name} has no primary key: its rows cannot be told apart, and the next release cannot publish it`,
                'give it a primary key, or REPLICA IDENTITY FULL',
              ),
        ),
      },
    ];
  });
