import { join } from 'node:path';
import { journalFile, readJournal } from '../journal/journal.ts';
import { replaceFileSync } from '../../infra/lib/atomic-file.ts';
import { secrets } from '../../infra/lib/redact.ts';
import { buildReport } from './model/build.ts';
import { renderHtml } from './html/page.ts';
import { renderJson } from './json.ts';
import { renderJUnit } from './junit.ts';
import type { ReportModel } from './model/model.ts';

export interface WrittenReport {
  model: ReportModel;
  html: string;
  json: string;
  junit: string;
}

/**
 * Reads the journal in `directory` and writes report.html, report.json and junit.xml beside it, each atomically. May be
 * called while the release runs. Throws an OperationError if there is no journal or it has no start of a release.
 */
export function writeReport(directory: string): WrittenReport {
  const { entries, damage } = readJournal(join(directory, journalFile));
  const model = buildReport(secrets.redactDeep(entries), damage && `line ${damage.line}: ${damage.found}`);
  const write = (name: string, content: string): string => {
    const path = join(directory, name);
    replaceFileSync(path, content);
    return path;
  };
  return {
    model,
    html: write('report.html', renderHtml(model)),
    json: write('report.json', renderJson(model)),
    junit: write('junit.xml', renderJUnit(model)),
  };
}
