import { other } from '../../infra/model.ts';
import type { Verdict } from '../journal/verdict.ts';
import type { JournalEntry, StageId } from '../journal/events.ts';
import { describeExtension } from '../journal/extension.ts';
import { columnsOf, describeLoss, keptWords, lossIn, lossless } from '../journal/loss.ts';
import { refusedAsAnnounced } from '../journal/refused.ts';
import { describeGap } from '../journal/way-back.ts';
import { longEnded } from '../journal/long-ended.ts';
import { formatBytes, formatCount, formatDuration, formatPercent, plural } from '../journal/format.ts';
import type { Tone } from './text.ts';

/** A line of the terminal about a journal entry. */
export interface Happening {
  tone: Tone;
  text: string;
  /** 0: a headline; 1: within a stage; 2: within a gate. */
  depth: 0 | 1 | 2;
}

export const signs: Record<Verdict, { sign: string; tone: Tone }> = {
  pass: { sign: '✓', tone: 'good' },
  waived: { sign: '◇', tone: 'warn' },
  'not-run': { sign: '○', tone: 'soft' },
  inconclusive: { sign: '?', tone: 'warn' },
  error: { sign: '!', tone: 'bad' },
  fail: { sign: '✕', tone: 'bad' },
};

/** The permanent lines for an entry. Entries that are only progress have none: see `progressOf`. */
export function happeningsOf(entry: JournalEntry, titleOf: (stage: StageId) => string): Happening[] {
  const say = (tone: Tone, text: string, depth: Happening['depth'] = 1): Happening[] => [{ tone, text, depth }];
  switch (entry.type) {
    case 'release.started': {
      const from = entry.from ? `${entry.from.version} (${entry.from.colour}) -> ` : '';
      const { postgres } = entry;
      const upgrade =
        postgres === undefined || postgres.from === postgres.to
          ? ''
          : `, with a major upgrade of PostgreSQL, ${postgres.from} to ${postgres.to}`;
      return say(
        'title',
        `${entry.application} ${from}${entry.to.version} (${entry.to.colour}) in ${entry.environment}${upgrade}, release ${entry.release}`,
        0,
      );
    }
    case 'release.resumed':
      return say('warn', `resumed: ${entry.found}; ${entry.decision}`, 0);
    case 'stage.started':
      return say('title', titleOf(entry.stage), 0);
    case 'stage.ended': {
      const { sign, tone } = signs[entry.verdict];
      const reason = entry.reason && entry.verdict !== 'pass' ? `: ${entry.reason}` : '';
      return say(tone, `${sign} ${titleOf(entry.stage)} in ${formatDuration(entry.ms)}${reason}`);
    }
    case 'stage.undone':
      return say('warn', `undone: ${entry.what} (${formatDuration(entry.ms)})`);
    // The reason is in the line of the stage that stopped.
    case 'undo.started':
      return [];
    case 'action.failed':
      return say('bad', `! ${entry.id} failed: ${entry.error}`);
    case 'artefact.built':
      return say(
        'plain',
        `built ${entry.artefact.version}: ${plural(entry.files, 'file')}, ${formatBytes(entry.bytes)}, in ${formatDuration(entry.ms)}`,
      );
    case 'stack.applied': {
      const changes = Object.entries(entry.changes).filter(([kind, n]) => n > 0 && kind !== 'same');
      const told = changes.map(([kind, n]) => `${n} ${kind}`).join(', ') || 'no change';
      return say('plain', `stack ${entry.stack}: ${told}, in ${formatDuration(entry.ms)}`);
    }
    case 'gate.judged':
      return gateLines(entry.gate);
    case 'backup.taken':
      return say('plain', `backup ${entry.id}: ${formatBytes(entry.bytes)} in ${formatDuration(entry.ms)}`);
    case 'backup.restored':
      return say(
        'plain',
        `backup restored in ${formatDuration(entry.recoveryTimeMs)}; recovery point ${formatDuration(entry.recoveryPointMs)}`,
      );
    case 'migration.applied':
      return say('plain', `migration ${entry.name} (${entry.phase}) on ${entry.where} in ${formatDuration(entry.ms)}`);
    // The gate that judged it says how long all of it takes.
    case 'window.rehearsed':
      return [];
    case 'schema.extended':
      return say('plain', describeExtension(entry));
    case 'data.compared': {
      const both = entry.tables.filter((table) => table.only === undefined);
      const alone = entry.tables.filter((table) => table.only !== undefined && table.equal);
      const unequal = entry.tables.filter((table) => !table.equal);
      const rows = both.reduce((sum, table) => sum + table.rows.right, 0);
      const other = alone.length === 0 ? '' : `; on one side only: ${alone.map((t) => t.table).join(', ')}`;
      return unequal.length === 0
        ? say(
            'plain',
            `data equal (${entry.moment}): ${plural(both.length, 'table')}, ${plural(rows, 'row')}, in ${formatDuration(entry.ms)}${other}`,
          )
        : say(
            'bad',
            `✕ data differs (${entry.moment}): ${unequal.map((t) => `${t.table}${t.detail ? ` (${t.detail})` : ''}`).join(', ')}`,
          );
    }
    case 'way-back.remaking':
      return say('warn', `the way back: ${describeGap(entry)}`);
    case 'way-back.remade':
      return say(
        'good',
        `✓ the database of ${entry.colour} is made anew in ${formatDuration(entry.ms)}: the way back exists again`,
      );
    case 'loss.discarded':
      return say('warn', `the writes that the rollback of release ${entry.release} has left are discarded`);
    case 'data.kept':
      return say('warn', keptWords(entry));
    case 'data.brought-back':
      return entry.sets.flatMap(({ relation, columns, rows, left }) => {
        const of = columns.length === 0 ? relation : columnsOf(relation, columns);
        const gone = left.map((l) => `${plural(l.rows, 'row')} stay kept: ${l.reason}`).join('; ');
        return say(
          left.length === 0 ? 'plain' : 'warn',
          `brought back: ${plural(rows, 'row')} of ${of}${gone === '' ? '' : `; ${gone}`}`,
        );
      });
    case 'traffic.set': {
      const { live, percent } = entry.split;
      const reads =
        percent === 0
          ? `reads and writes on ${live}`
          : `${percent} % of reads on ${other(live)}, the rest and all writes on ${live}`;
      return say('plain', `${reads} (${formatDuration(entry.ms)})`);
    }
    case 'canary.step': {
      const { sign, tone } = signs[entry.verdict];
      const observed = entry.observedPercent === undefined ? '' : `, ${formatPercent(entry.observedPercent)} observed`;
      return say(tone, `${sign} canary at ${entry.percent} %${observed}: ${entry.reason}`);
    }
    case 'cutover.done': {
      const { direction, from, to } = entry;
      const way = direction === 'forward' ? 'cutover' : 'cutover back';
      return say(
        'good',
        `✓ ${way} from ${from} to ${to}${entry.window ? ' in a read-only window' : ''}: ${howLong(entry)}`,
      );
    }
    case 'connections.ended':
      return say('plain', longEnded(entry));
    case 'rollback.started':
      return say('bad', `rolling back${entry.automatic ? ' by itself' : ''}: ${entry.reason}`, 0);
    case 'rollback.done': {
      const { ms, detail } = entry;
      const loss = lossIn(entry);
      return say(
        lossless(loss) === false ? 'bad' : 'warn',
        `rolled back in ${formatDuration(ms)}: ${detail}; ${describeLoss(loss)}`,
      );
    }
    case 'writes.refused':
      return entry.to === undefined
        ? say('warn', 'read-only window: writes are answered 503 from now on, and users can read')
        : say('plain', `read-only window: writes were refused for ${formatDuration(entry.to - entry.from)}`);
    case 'synthetic.ended': {
      const { requests, writes } = entry;
      const { refused = 0 } = requests;
      const increments =
        writes.increments === undefined
          ? ''
          : `, ${writes.incrementsLost === undefined ? 'an unknown number' : formatCount(writes.incrementsLost)} of ${plural(writes.increments, 'increment')}`;
      const good = requests.failed === 0 && writes.lost === 0 && writes.duplicated === 0;
      return say(
        good ? 'good' : 'bad',
        `${good ? '✓' : '✕'} clients: ${formatCount(requests.failed)} of ${plural(requests.total, 'request')} failed${refused === 0 ? '' : `, ${refusedAsAnnounced(refused)}`}; ${formatCount(writes.lost)} of ${plural(writes.acknowledged, 'write')}${increments} lost`,
      );
    }
    case 'alert.delivered':
      return say('plain', `alert ${entry.alert} reached ${entry.receiver} in ${formatDuration(entry.ms)}`);
    case 'announcement.sent':
      return say(
        entry.ok ? 'plain' : 'warn',
        `${entry.ok ? 'announced' : 'could not announce'} to ${entry.to}: ${entry.text}`,
      );
    case 'approval.given':
      return say('good', `✓ approved by ${entry.by} (${entry.how})${entry.note ? `: ${entry.note}` : ''}`);
    case 'approval.refused':
      return say('bad', `✕ refused by ${entry.by}: ${entry.reason}`);
    case 'note':
      return say(
        entry.level === 'warning' ? 'warn' : 'soft',
        entry.level === 'warning' ? `warning: ${entry.text}` : entry.text,
      );
    case 'action.intent':
    case 'action.done':
    case 'sync.progress':
    case 'traffic.observed':
    case 'cutover.step':
    case 'release.ended':
      return [];
  }
}

/** How long clients could not write. */
function howLong({ holdMs, totalMs, window }: Extract<JournalEntry, { type: 'cutover.done' }>): string {
  const ms = window === undefined ? holdMs : window.refusedMs;
  const waited = window === undefined ? 'waited' : 'were refused';
  return ms === undefined || totalMs === undefined
    ? `finished after an interruption; how long writes ${waited} was not measured`
    : `writes ${waited} ${window === undefined ? '' : 'for '}${formatDuration(ms)}, ${formatDuration(totalMs)} in all`;
}

type Judged = Extract<JournalEntry, { type: 'gate.judged' }>['gate'];

/** One line for the gate, and one for each measurement that did not pass. */
function gateLines(gate: Judged): Happening[] {
  const { sign, tone } = signs[gate.verdict];
  const waiver = gate.waiver ? `; waived by ${gate.waiver.by} until ${gate.waiver.expires}` : '';
  const head: Happening = {
    tone,
    depth: 1,
    text: `${sign} ${gate.title}: ${gate.measured} (wanted: ${gate.wanted})${waiver}`,
  };
  const bad = gate.measurements.filter((m) => m.verdict !== 'pass');
  return [
    head,
    ...bad.map((m): Happening => ({
      tone: signs[m.verdict].tone,
      depth: 2,
      text: `${signs[m.verdict].sign} ${m.name}: ${m.measured} (wanted: ${m.wanted})${m.note ? `. ${m.note}` : ''}`,
    })),
  ];
}

/** Text for the progress line, which is overwritten; undefined if the entry does not change it. */
export function progressOf(entry: JournalEntry): string | undefined {
  switch (entry.type) {
    case 'action.intent':
      return entry.what;
    case 'cutover.step':
      return entry.step;
    case 'sync.progress':
      return `replication ${entry.direction}: ${entry.tablesReady} of ${plural(entry.tables, 'table')}, ${formatDuration(entry.lagMs)} and ${formatBytes(entry.lagBytes)} behind`;
    default:
      return undefined;
  }
}
