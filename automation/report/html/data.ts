import type { TableComparison } from '../../journal/events.ts';
import { describeExtension } from '../../journal/extension.ts';
import { describeGap } from '../../journal/way-back.ts';
import { lagChart } from './charts.ts';
import { formatBytes, formatCount, formatDuration, formatTime, plural } from '../../journal/format.ts';
import type { ReportModel } from '../model/model.ts';
import { html, type Html } from './html.ts';
import { colourName, section, stateCell, table } from './parts.ts';
import { figure } from './traffic.ts';

/** Backups, migrations, replication and comparisons. */
export function renderData(model: ReportModel): Html {
  const { backups, restores, migrations, comparisons, sync } = model.data;
  const nothing = backups.length + restores.length + migrations.length + comparisons.length + sync.length === 0;
  if (nothing) return section('data', 'Data', html`<p>This release has not touched any data.</p>`);
  return section(
    'data',
    'Data',
    ledger(model),
    wayBack(model),
    backupLines(model),
    comparisons.map((c) => [
      tables(`At the ${moments[c.moment]}, ${formatTime(c.at)}, in ${formatDuration(c.ms)}`, c.tables),
      extent(c),
    ]),
    migrationTable(model),
    lag(model),
  );
}

const moments = {
  seed: 'first copy',
  cutover: 'cutover',
  rollback: 'rollback',
  staging: 'transition from staging',
  'way-back': 'copy for the way back',
};

function ledger({ writes }: ReportModel): Html | '' {
  if (writes.acknowledged === null) return '';
  return html`<p>
    Of ${formatCount(writes.acknowledged)} acknowledged writes, ${formatCount(writes.lost ?? 0)} are lost and
    ${formatCount(writes.duplicated ?? 0)} exist twice. ${formatCount(writes.unknown ?? 0)} got no answer, so they may
    or may not exist. ${increments(writes)}
  </p> `;
}

function wayBack({ window, data: { extension, gap } }: ReportModel): Html {
  if (window !== null)
    return html`<p>
      The way back: none is armed, as the writes move in a read-only window. Going back loses what was written since.
    </p> `;
  return html`${extension === null ? '' : html`<p>Schema: ${describeExtension(extension)}.</p> `}${
    gap === null ? '' : html`<p>The way back: ${describeGap(gap)}.</p> `
  }`;
}

/** Increments are listed apart: a lost increment changes a value and removes no row. */
function increments({
  increments: count,
  incrementsLost: lost,
  incrementsDoubled: doubled,
}: ReportModel['writes']): string {
  if (count == null) return '';
  const found =
    lost == null
      ? 'they were not looked up'
      : `${formatCount(lost)} are lost, ${formatCount(doubled ?? 0)} were made twice`;
  return `Of the acknowledged writes, ${formatCount(count)} incremented a row that other writes increment too: ${found}.`;
}

function backupLines({ data: { backups, restores } }: ReportModel): Html | '' {
  if (backups.length + restores.length === 0) return '';
  return html`<h3>Backup and recovery</h3>
    <ul>
      ${backups.map(
        (b) =>
          html`<li>
            Backup <code>${b.id}</code>: ${formatBytes(b.bytes)} in ${formatDuration(b.ms)}, consistent at LSN
            <code>${b.lsn ?? 'not known'}</code>
          </li> `,
      )}${restores.map(
        (r) =>
          html`<li>
            Restored <code>${r.id}</code>: recovery time (RTO) ${formatDuration(r.recoveryTimeMs)}, recovery point (RPO)
            ${formatDuration(r.recoveryPointMs)}, ${plural(r.tables.filter((t) => t.equal).length, 'table')} of
            ${r.tables.length} equal${besideRows(r.structure)}
          </li> `,
      )}
    </ul> `;
}

const besideRows = (structure: ReportModel['data']['restores'][number]['structure']): string =>
  structure === undefined
    ? ''
    : `; of ${plural(structure.objects, 'object')} of the catalog and ${plural(structure.sequences, 'sequence')} ${structure.different.length} differ, ${structure.unknown.length} not judged`;

/** What "equal" is about, and what it says nothing of. */
function extent({ tables: compared, objects, notCompared }: ReportModel['data']['comparisons'][number]): Html {
  const both = compared.filter(({ only }) => only === undefined);
  const large = both.find(({ table: name }) => name === 'large objects');
  const count = (of: readonly TableComparison[]): number => of.reduce((sum, { rows }) => sum + rows.right, 0);
  const found = both.filter((entry) => entry !== large);
  return html`<p>
    Compared: ${plural(found.length, 'table')} with ${plural(count(found), 'row')},
    ${large === undefined ? 'no large object' : plural(large.rows.right, 'large object')},
    ${objects === undefined ? 'no object of the catalog' : `${plural(objects, 'object')} of the catalog`}. Not compared:
    ${notCompared === undefined ? 'not known' : notCompared.length === 0 ? 'nothing' : notCompared.join(', ')}.
  </p> `;
}

function tables(caption: string, compared: readonly TableComparison[]): Html {
  const rows = compared.map(
    (t) =>
      html`<tr>
        <th scope="row"><code>${t.table}</code></th>
        ${contents(t)}
        <td class="number" data-label="Rows in the source">${formatCount(t.rows.left)}</td>
        <td class="number" data-label="Rows in the copy">${formatCount(t.rows.right)}</td>
        <td data-label="Difference">${t.detail ?? ''}</td>
      </tr> `,
  );
  const columns = [
    { title: 'Table' },
    { title: 'Contents' },
    { title: 'Rows in the source', number: true },
    { title: 'Rows in the copy', number: true },
    { title: 'Difference' },
  ];
  return table(
    caption,
    columns,
    html`<tbody>
      ${rows}
    </tbody>`,
    true,
  );
}

/** A table that exists on one side only was not compared. */
function contents({ equal, only }: TableComparison): Html {
  if (only === undefined || !equal) return stateCell(equal ? 'pass' : 'fail', equal ? 'Equal' : 'Differs');
  return stateCell('not-run', only === 'left' ? 'In the source only' : 'In the copy only');
}

function migrationTable({ data: { migrations } }: ReportModel): Html | '' {
  if (migrations.length === 0) return '';
  const rows = migrations.map(
    (m) =>
      html`<tr>
        <th scope="row"><code>${m.name}</code></th>
        <td data-label="Where">${m.where === 'blue' || m.where === 'green' ? colourName(m.where) : m.where}</td>
        <td data-label="Phase">${m.phase}</td>
        <td class="number" data-label="Took">${formatDuration(m.ms)}</td>
      </tr> `,
  );
  const columns = [{ title: 'Migration' }, { title: 'Where' }, { title: 'Phase' }, { title: 'Took', number: true }];
  return html`<h3>Migrations</h3>
    ${table(
      'In the order in which they were applied',
      columns,
      html`<tbody>
        ${rows}
      </tbody>`,
      true,
    )}`;
}

function lag(model: ReportModel): Html | '' {
  const { sync } = model.data;
  if (sync.length === 0) return '';
  const worst = sync.reduce((a, b) => (b.lagMs > a.lagMs ? b : a));
  const detail = `at most ${formatDuration(worst.lagMs)} and ${formatBytes(Math.max(...sync.map((s) => s.lagBytes)))} behind`;
  return html`<h3>Replication</h3>
    ${figure('Replication lag', detail, lagChart(model))}`;
}
