import type { Node } from 'libpg-query';
import type { Statement } from './statements.ts';

/** What a migration file must not contain, and what to write instead. */
export interface Refusal {
  line: number;
  why: string;
  instead: string;
}

/** These do not end the transaction that they belong to. */
const harmless = new Set(['TRANS_STMT_SAVEPOINT', 'TRANS_STMT_RELEASE']);
const leaveOut = 'leave it out';
const own = new Set(['ROLESPEC_CURRENT_ROLE', 'ROLESPEC_CURRENT_USER', 'ROLESPEC_SESSION_USER']);

/** Why a statement cannot run in a migration file; undefined where it can. */
export function refusalOf({ node, line, text, refused }: Statement): Refusal | undefined {
  const found = node === undefined ? ofText(text, refused?.line ?? line) : ofNode(node);
  return found && { line, ...found };
}

type Found = Omit<Refusal, 'line'> & { line?: number };

/** Of a file that is not SQL. */
function ofText(text: string, from: number): Found | undefined {
  const all = text.split('\n');
  const before = all.slice(0, from).join('\n');
  const copy = /\bcopy\b[^;]*\bfrom\s+stdin\b[^;]*;\s*[^;]*$/i.exec(before);
  if (copy !== null) return { ...copyFromStdin, line: 1 + before.slice(0, copy.index).split('\n').length - 1 };
  const command = /^\s*(\\\S+)/.exec(all[from - 1] ?? '')?.[1];
  if (command === undefined) return undefined;
  return {
    line: from,
    why: `${command} is a command of psql, not SQL`,
    instead: command.startsWith('\\i')
      ? 'put the statements of that file into this one'
      : 'leave it out (pg_dump writes \\restrict, \\unrestrict and \\connect)',
  };
}

const copyFromStdin: Found = {
  why: 'COPY ... FROM stdin takes its rows from psql, and the file is not run by psql',
  instead: 'write INSERT statements (pg_dump --inserts)',
};

function ofNode(node: Node): Found | undefined {
  if ('TransactionStmt' in node) {
    if (harmless.has(node.TransactionStmt.kind ?? '')) return undefined;
    // The statements after it would run outside the transaction, and could not be rolled back.
    return { why: 'each file is one transaction already', instead: leaveOut };
  }
  if ('CopyStmt' in node) {
    const { is_from: from = false, filename, is_program: program } = node.CopyStmt;
    if (filename !== undefined || program === true) return undefined;
    return from ? copyFromStdin : { why: 'COPY ... TO stdout has nobody to write to', instead: leaveOut };
  }
  return ofOwner(node) ?? ofTransaction(node);
}

/** Roles of one server are not those of another, and here all objects belong to the role `owner`. */
function ofOwner(node: Node): Found | undefined {
  const owners =
    'AlterOwnerStmt' in node
      ? [node.AlterOwnerStmt.newowner]
      : 'AlterTableStmt' in node
        ? (node.AlterTableStmt.cmds ?? []).flatMap((command) =>
            'AlterTableCmd' in command && command.AlterTableCmd.subtype === 'AT_ChangeOwner'
              ? [command.AlterTableCmd.newowner]
              : [],
          )
        : [];
  const other = owners.find((role) => role !== undefined && !own.has(role.roletype ?? '') && role.rolename !== 'owner');
  if (other === undefined) return undefined;
  return {
    why: `OWNER TO ${other.rolename ?? 'another role'}: everything belongs to the role owner, which runs the migrations`,
    instead: `${leaveOut} (pg_dump --no-owner)`,
  };
}

/** What PostgreSQL refuses inside of a transaction. */
function ofTransaction(node: Node): Found | undefined {
  const what = outsideOnly(node);
  if (what === undefined) return undefined;
  return { why: `${what[0]} cannot run inside of a transaction, and each file is one`, instead: what[1] };
}

const plainIndex =
  'write it without CONCURRENTLY: an expand file runs on the inactive colour, where nobody waits for it';

function outsideOnly(node: Node): [what: string, instead: string] | undefined {
  if ('IndexStmt' in node && node.IndexStmt.concurrent === true) return ['CREATE INDEX CONCURRENTLY', plainIndex];
  if ('DropStmt' in node && node.DropStmt.concurrent === true)
    return ['DROP INDEX CONCURRENTLY', 'write it without CONCURRENTLY: it takes milliseconds'];
  if ('ReindexStmt' in node) {
    const { kind, params = [] } = node.ReindexStmt;
    const concurrently = params.some((param) => 'DefElem' in param && param.DefElem.defname === 'concurrently');
    if (concurrently) return ['REINDEX CONCURRENTLY', plainIndex];
    if (kind !== 'REINDEX_OBJECT_INDEX' && kind !== 'REINDEX_OBJECT_TABLE')
      return ['REINDEX of a schema or database', 'write REINDEX TABLE for each table'];
  }
  if ('AlterTableStmt' in node) {
    const detaches = (node.AlterTableStmt.cmds ?? []).some((command) => {
      if (!('AlterTableCmd' in command) || command.AlterTableCmd.def === undefined) return false;
      const { subtype, def } = command.AlterTableCmd;
      return subtype === 'AT_DetachPartition' && 'PartitionCmd' in def && def.PartitionCmd.concurrent === true;
    });
    if (detaches) return ['DETACH PARTITION CONCURRENTLY', 'write it without CONCURRENTLY'];
  }
  if ('VacuumStmt' in node && node.VacuumStmt.is_vacuumcmd === true)
    return ['VACUUM', 'leave it out: autovacuum does it. ANALYZE alone can run here'];
  if ('ClusterStmt' in node && node.ClusterStmt.relation === undefined)
    return ['CLUSTER of all tables', 'name the table'];
  const elsewhere = 'let the administrator do it, outside of a release';
  if ('AlterSystemStmt' in node) return ['ALTER SYSTEM', elsewhere];
  if ('CreatedbStmt' in node || 'DropdbStmt' in node) return ['CREATE or DROP DATABASE', elsewhere];
  if ('CreateTableSpaceStmt' in node || 'DropTableSpaceStmt' in node) return ['CREATE or DROP TABLESPACE', elsewhere];
  if ('CreateSubscriptionStmt' in node || 'DropSubscriptionStmt' in node)
    return ['CREATE or DROP SUBSCRIPTION', elsewhere];
  if ('DiscardStmt' in node && node.DiscardStmt.target === 'DISCARD_ALL')
    return ['DISCARD ALL', 'leave it out: each file starts in the same session state'];
  return undefined;
}
