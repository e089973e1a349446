import { commandOf } from './node.ts';
import { fact, type Facts } from './facts.ts';
import type { Folder } from './folder.ts';
import { moduleName } from './others.ts';
import { argvOf, asName, has } from './text.ts';

/** A Procfile: `web`, any worker, and `release`, which is the migration. */
export function procfile(folder: Folder): Facts {
  if (!has(folder, 'Procfile')) return {};
  const lines = [...(folder.read('Procfile') ?? '').matchAll(/^([A-Za-z0-9_-]+):\s*(.+)$/gm)].map(
    ([, type = '', line = '']) => ({
      type,
      argv: adapted(folder, line.trim()),
    }),
  );
  const release = lines.find(({ type }) => type === 'release');
  return {
    services: lines
      .filter(({ type }) => type === 'web')
      .map(({ argv }) => ({ name: 'web', start: fact(argv, 'Procfile web') })),
    workers: lines
      .filter(({ type }) => type !== 'web' && type !== 'release')
      .map(({ type, argv }) => ({ name: asName(type), start: fact(argv, `Procfile ${type}`) })),
    ...(release === undefined
      ? {}
      : { migrations: { tool: 'Procfile', expand: fact(release.argv, 'Procfile release'), records: [] } }),
  };
}

/** A Procfile's programs are on the path of its builder: here they are the packages' own. */
function adapted(folder: Folder, line: string): string[] {
  const [program = '', ...args] = argvOf(line);
  // A builder of Go installs a program under the name of its module.
  if (program === moduleName(folder)) return ['bin/web', ...args];
  if (has(folder, 'package.json')) return commandOf(line);
  const python =
    /^(?:python3?\s+)?(?:-m\s+)?((gunicorn|uvicorn|celery|flask|alembic|hypercorn|daphne|rq|manage\.py)\b.*)$/.exec(
      line,
    );
  if (python?.[1] === undefined) return argvOf(line);
  const module = python[1].startsWith('manage.py') ? python[1] : `-m ${python[1]}`;
  const bound =
    /gunicorn/.test(module) && !/--bind|-b\s/.test(module)
      ? module.replace('gunicorn', 'gunicorn --bind $HOST:$PORT')
      : module;
  return ['sh', '-c', `PYTHONPATH=.packages:. exec ${folder.program('python3')} ${bound}`];
}
