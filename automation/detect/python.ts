import { fact, type Facts, type ProcessFacts } from './facts.ts';
import type { Folder } from './folder.ts';
import { asName, asVersion, find, grep, has, source } from './text.ts';

/** Where the packages of a Python application are put: beside it, as a virtual environment has absolute paths in it. */
export const pythonPackages = '.packages';

/** Whether the application is Python, and which packages it names. */
export function requirementsOf(folder: Folder): { file: string; names: Set<string> } | undefined {
  const file = [
    'requirements.txt',
    'requirements/production.txt',
    'requirements/base.txt',
    'pyproject.toml',
    'Pipfile',
    'setup.cfg',
    'setup.py',
  ].find((one) => has(folder, one));
  if (file === undefined) return undefined;
  const names = (folder.read(file) ?? '').toLowerCase().match(/[a-z][a-z0-9._-]*/g) ?? [];
  return { file, names: new Set(names.map((name) => name.replaceAll('_', '-'))) };
}

/** A command of Python that finds the application's packages. */
export const pythonCommand = (folder: Folder, ...args: string[]): string[] => [
  'env',
  `PYTHONPATH=${pythonPackages}:.`,
  folder.program('python3'),
  ...args,
];

/** As `pythonCommand`, with `$HOST` and `$PORT` in its arguments. */
const listening = (folder: Folder, args: string): string[] => [
  'sh',
  '-c',
  `PYTHONPATH=${pythonPackages}:. exec ${folder.program('python3')} -m ${args}`,
];

/** Django, Flask, FastAPI; workers of Celery and RQ. */
export function python(folder: Folder): Facts {
  const requirements = requirementsOf(folder);
  const django = has(folder, 'manage.py') && /DJANGO_SETTINGS_MODULE/.test(folder.read('manage.py') ?? '');
  if (requirements === undefined && !django) return {};
  const names = requirements?.names ?? new Set<string>();
  const project = /^\s*(?:\[(?:project|tool\.poetry)\][^[]*?)?^name\s*=\s*["']([^"']+)["']/ms.exec(
    folder.read('pyproject.toml') ?? '',
  )?.[1];
  const version = asVersion(/^version\s*=\s*["']([^"']+)["']/m.exec(folder.read('pyproject.toml') ?? '')?.[1]);
  const application = django ? djangoOf(folder, names) : otherOf(folder, names);
  if (application === undefined) return {};
  return {
    ...application,
    ...(project === undefined ? {} : { name: fact(asName(project), 'pyproject.toml name') }),
    ...(version === undefined ? {} : { version: fact(version, 'pyproject.toml version') }),
    prepare: [...install(folder, requirements?.file), ...(application.prepare ?? [])],
    workers: workersOf(folder, names),
  };
}

function install(folder: Folder, file: string | undefined): Facts['prepare'] & object {
  if (file === undefined) return [];
  const what = file.endsWith('.txt') ? ['-r', file] : ['.'];
  return [
    fact([folder.program('python3'), '-m', 'pip', 'install', '--quiet', '--target', pythonPackages, ...what], file),
  ];
}

function djangoOf(folder: Folder, names: ReadonlySet<string>): Facts {
  const settings = /DJANGO_SETTINGS_MODULE['"],\s*['"]([\w.]+)['"]/.exec(folder.read('manage.py') ?? '')?.[1];
  const wsgi = find(folder, /(^|\/)wsgi\.py$/);
  const asgi = find(folder, /(^|\/)asgi\.py$/);
  const moduleOf = (file: string): string => file.replace(/\.py$/, '').replaceAll('/', '.');
  const start =
    asgi !== undefined && names.has('uvicorn') && !names.has('gunicorn')
      ? fact(listening(folder, `uvicorn ${moduleOf(asgi)}:application --host $HOST --port $PORT`), `${asgi}, uvicorn`)
      : wsgi !== undefined && names.has('gunicorn')
        ? fact(listening(folder, `gunicorn --bind $HOST:$PORT ${moduleOf(wsgi)}`), `${wsgi}, gunicorn`)
        : fact(
            [
              'sh',
              '-c',
              `PYTHONPATH=${pythonPackages}:. exec ${folder.program('python3')} manage.py runserver --noreload $HOST:$PORT`,
            ],
            'manage.py; without gunicorn or uvicorn this is the server for development',
          );
  const root = grep(folder, /settings.*\.py$/, /^\s*STATIC_ROOT\s*=/m);
  return {
    is: fact('Django', settings === undefined ? 'manage.py' : `manage.py, settings ${settings}`),
    services: [{ name: 'web', start }],
    ...(root === undefined
      ? {}
      : {
          prepare: [fact(pythonCommand(folder, 'manage.py', 'collectstatic', '--noinput'), `${root.file} STATIC_ROOT`)],
        }),
  };
}

function otherOf(folder: Folder, names: ReadonlySet<string>): Facts | undefined {
  const made = grep(folder, /\.py$/, /^(\w+)\s*=\s*(FastAPI|Flask|Starlette|Quart|Litestar)\(/m);
  const factory = made ?? grep(folder, /\.py$/, /^def (create_app|make_app)\(/m);
  if (factory === undefined || !source.test(factory.file)) return undefined;
  const module = factory.file
    .replace(/(\/__init__)?\.py$/, '')
    .replaceAll('/', '.')
    .replace(/^src\./, '');
  const name = factory.match[1] ?? 'app';
  const kind = made?.match[2] ?? (names.has('flask') ? 'Flask' : undefined);
  if (kind === undefined) return undefined;
  const asgi = kind !== 'Flask';
  const call = made === undefined ? `${module}:${name}()` : `${module}:${name}`;
  const start = asgi
    ? listening(
        folder,
        `uvicorn ${made === undefined ? `--factory ${module}:${name}` : call} --host $HOST --port $PORT`,
      )
    : names.has('gunicorn')
      ? listening(folder, `gunicorn --bind $HOST:$PORT ${made === undefined ? `'${call}'` : call}`)
      : listening(folder, `flask --app ${module} run --host $HOST --port $PORT`);
  const without = !asgi && !names.has('gunicorn') ? '; without gunicorn this is the server for development' : '';
  return {
    is: fact(kind, factory.file),
    services: [{ name: 'web', start: fact(start, `${kind} in ${factory.file}${without}`) }],
  };
}

function workersOf(folder: Folder, names: ReadonlySet<string>): ProcessFacts[] {
  const celery = names.has('celery') ? grep(folder, /\.py$/, /^\w+\s*=\s*Celery\(/m) : undefined;
  if (celery !== undefined) {
    const module = celery.file
      .replace(/(\/__init__)?\.py$/, '')
      .replaceAll('/', '.')
      .replace(/\.celery$/, '');
    return [
      {
        name: 'worker',
        start: fact(
          [
            'sh',
            '-c',
            `PYTHONPATH=${pythonPackages}:. exec ${folder.program('python3')} -m celery -A ${module} worker`,
          ],
          celery.file,
        ),
      },
    ];
  }
  const rq = names.has('rq') || names.has('django-rq');
  if (!rq) return [];
  const command = names.has('django-rq')
    ? pythonCommand(folder, 'manage.py', 'rqworker')
    : [
        'sh',
        '-c',
        `PYTHONPATH=${pythonPackages}:. exec ${folder.program('python3')} -m rq.cli worker --url "$REDIS_URL"`,
      ];
  return [{ name: 'worker', start: fact(command, 'requirements: rq') }];
}
