import { listOf, report, type Context, type Path, type Unsure } from './rules.ts';

/** Rules about the names of migration files. */

/** In the command form `contract` is a command. A file name there belongs to the directory form. */
export function contractIsACommand(migrations: Unsure<{ contract: string[] }>, ctx: Context): void {
  const first = listOf(migrations?.contract)[0];
  if (typeof first === 'string' && first.endsWith('.sql')) {
    report(ctx, ['contract', 0], `"${first}" is the name of a file; file names need "directory" in place of "expand"`);
  }
}

export function laterNamesAreFiles(
  migrations: Unsure<{ contract: string[]; incompatible: Unsure<{ files: string[] }> }>,
  ctx: Context,
): void {
  const contract = listOf(migrations?.contract);
  const incompatible = listOf(migrations?.incompatible?.files);
  const namesAreFiles = (files: string[], path: Path): void =>
    files.forEach((file, index) => {
      if (files.indexOf(file) !== index) report(ctx, [...path, index], `"${file}" is there twice; remove one`);
      if (typeof file === 'string' && !sqlFile.test(file)) report(ctx, [...path, index], notSql(file));
    });
  namesAreFiles(contract, ['contract']);
  namesAreFiles(incompatible, ['incompatible', 'files']);
  incompatible.forEach((file, index) => {
    if (contract.includes(file))
      report(ctx, ['incompatible', 'files', index], `"${file}" is in contract, too; a file runs once, so remove one`);
  });
}

const sqlFile = /^[\w.-]+\.sql$/;
const notSql = (file: string): string => `"${file}" is not the name of an SQL file; write it without folder, with .sql`;

/** Whether there is such a file only the gate can tell: it is in the build. */
export function acceptancesAreOfFiles(
  migrations: Unsure<{ accept: Unsure<{ file: string; object: string; rule: string }>[] }>,
  ctx: Context,
): void {
  const all = Array.isArray(migrations?.accept) ? migrations.accept : [];
  const seen = new Set<string>();
  all.forEach((entry, index) => {
    const { file, object, rule } = entry ?? {};
    if (file === undefined && object === undefined) report(ctx, ['accept', index], 'it needs a file or an object');
    if (typeof file !== 'string') return;
    if (!sqlFile.test(file)) report(ctx, ['accept', index, 'file'], notSql(file));
    if (seen.has(`${file} ${rule}`)) report(ctx, ['accept', index], `"${rule}" of ${file} is there twice; remove one`);
    seen.add(`${file} ${rule}`);
  });
}
