import { fact, type Facts } from './facts.ts';
import type { Folder } from './folder.ts';
import { asName, asVersion, find, has } from './text.ts';

/** Go, Ruby, Java and PHP. */

/** The name of a Go module: what `go install` calls its program. Undefined: there is no module. */
export const moduleName = (folder: Folder): string | undefined =>
  /^module\s+(\S+)/m
    .exec(folder.read('go.mod') ?? '')?.[1]
    ?.replace(/\/v\d+$/, '')
    .split('/')
    .at(-1);

/** Go: the main packages of a module. */
export function go(folder: Folder): Facts {
  const module = moduleName(folder);
  if (module === undefined) return {};
  const mains = [
    ...new Set(
      folder.files
        .filter((file) => file.endsWith('.go') && !file.endsWith('_test.go'))
        .filter((file) => {
          const text = folder.read(file) ?? '';
          return /^package main\b/m.test(text) && !/^\/\/go:build ignore/m.test(text);
        })
        .map((file) => file.split('/').slice(0, -1).join('/')),
    ),
  ];
  const serves = (directory: string): boolean =>
    folder.files.some(
      (file) =>
        file.endsWith('.go') &&
        file.split('/').slice(0, -1).join('/') === directory &&
        /ListenAndServe|\.Run\(|\.Listen\(|\.Start\(/.test(folder.read(file) ?? ''),
    );
  const worker = mains.find((one) => /(^|[/-])worker$/.test(one));
  const web = mains.filter((one) => one !== worker);
  const main = web.find(serves) ?? web.find((one) => /(server|web|api|app)$/.test(one)) ?? web[0];
  if (main === undefined) return {};
  const name = asName(module);
  const build = (directory: string, output: string) =>
    fact(
      ['go', 'build', '-o', `bin/${output}`, directory === '' ? '.' : `./${directory}`],
      directory === '' ? 'go.mod, package main' : `package main in ${directory}`,
    );
  return {
    is: fact('Go', 'go.mod'),
    name: fact(name === '' ? 'web' : name, 'go.mod module'),
    prepare: [build(main, 'web'), ...(worker === undefined ? [] : [build(worker, 'worker')])],
    services: [{ name: 'web', start: fact(['bin/web'], main === '' ? 'package main' : main) }],
    workers: worker === undefined ? [] : [{ name: 'worker', start: fact(['bin/worker'], worker) }],
    notes:
      web.length > 1
        ? [
            `go.mod has ${web.length} main packages (${web.map((one) => one || '.').join(', ')}): ${main || '.'} was taken for the service`,
          ]
        : [],
  };
}

/** Rails, and other applications of Rack. */
export function ruby(folder: Folder): Facts {
  const gems = `${folder.read('Gemfile') ?? ''}\n${folder.read('Gemfile.lock') ?? ''}`;
  if (!has(folder, 'Gemfile') || !has(folder, 'config.ru')) return {};
  const rails = /\brails\b/.test(gems) && has(folder, 'config/application.rb');
  const puma = /\bpuma\b/.test(gems);
  const bundle = folder.program('bundle');
  const server = puma
    ? `puma -b tcp://$HOST:$PORT`
    : rails
      ? `rails server -b $HOST -p $PORT`
      : `rackup -o $HOST -p $PORT`;
  const settings: Facts['env'] = rails
    ? { RAILS_ENV: fact('production', 'Rails'), RAILS_LOG_TO_STDOUT: fact('1', 'Rails') }
    : { RACK_ENV: fact('production', 'config.ru') };
  return {
    is: fact(rails ? 'Rails' : 'Rack', rails ? 'Gemfile, config/application.rb' : 'config.ru'),
    prepare: [
      fact(['sh', '-c', `${bundle} config set --local path .gems && ${bundle} install`], 'Gemfile'),
      ...(has(folder, 'app/assets/config/manifest.js') || /propshaft|sprockets/.test(gems)
        ? [
            fact(
              ['env', 'RAILS_ENV=production', 'SECRET_KEY_BASE_DUMMY=1', bundle, 'exec', 'rails', 'assets:precompile'],
              'Gemfile',
            ),
          ]
        : []),
    ],
    services: [
      { name: 'web', start: fact(['sh', '-c', `exec ${bundle} exec ${server}`], puma ? 'Gemfile: puma' : 'config.ru') },
    ],
    env: settings,
    workers: /\bsidekiq\b/.test(gems)
      ? [{ name: 'worker', start: fact([bundle, 'exec', 'sidekiq'], 'Gemfile: sidekiq') }]
      : /\bgood_job\b/.test(gems)
        ? [{ name: 'worker', start: fact([bundle, 'exec', 'good_job', 'start'], 'Gemfile: good_job') }]
        : /\bsolid_queue\b/.test(gems)
          ? [{ name: 'worker', start: fact(['bin/jobs'], 'Gemfile: solid_queue') }]
          : [],
    health: rails ? [fact('/up', 'Rails')] : [],
    ...(rails ? { secrets: { 'secret-key-base': fact('SECRET_KEY_BASE', 'Rails') } } : {}),
  };
}

/** Java with Maven or Gradle; Spring Boot. */
export function java(folder: Folder): Facts {
  const pom = folder.read('pom.xml');
  const gradle = find(folder, /^build\.gradle(\.kts)?$/);
  const text = pom ?? (gradle === undefined ? undefined : folder.read(gradle));
  if (text === undefined) return {};
  const from = pom === undefined ? (gradle ?? '') : 'pom.xml';
  const own = text.replace(/<parent>[\s\S]*?<\/parent>/, '');
  const name = pom === undefined ? undefined : /<artifactId>([^<]+)</.exec(own)?.[1];
  const version = asVersion(
    (pom === undefined ? /^version\s*=\s*['"]([^'"]+)/m : /<version>([^<$]+)</)
      .exec(own)?.[1]
      ?.replace(/-SNAPSHOT$/, ''),
  );
  const spring = /spring-boot/.test(text);
  const jar = pom === undefined ? 'build/libs' : 'target';
  const wrapper =
    pom === undefined ? (has(folder, 'gradlew') ? './gradlew' : 'gradle') : has(folder, 'mvnw') ? './mvnw' : 'mvn';
  const build =
    pom === undefined ? [wrapper, 'build', '-x', 'test'] : [wrapper, '--batch-mode', '-DskipTests', 'package'];
  const pick = `exec ${folder.program('java')} -jar "$(ls ${jar}/*.jar | grep -v -e plain -e sources -e javadoc | head -n 1)"`;
  const database =
    'jdbc:postgresql://${database.host}:${database.port}/${database.name}?sslmode=verify-full&sslrootcert=${database.caFile}';
  return {
    is: fact(spring ? 'Spring Boot' : 'Java', from),
    ...(name === undefined ? {} : { name: fact(asName(name), 'pom.xml artifactId') }),
    ...(version === undefined ? {} : { version: fact(version, `${from} version`) }),
    prepare: [fact(build, from)],
    services: [
      {
        name: 'web',
        start: fact(['sh', '-c', `${pick}${spring ? ' --server.port=$PORT --server.address=$HOST' : ''}`], from),
      },
    ],
    env: spring
      ? {
          SPRING_DATASOURCE_URL: fact(database, 'Spring Boot reads it'),
          SPRING_DATASOURCE_USERNAME: fact('${database.user}', 'Spring Boot reads it'),
          SPRING_DATASOURCE_PASSWORD: fact('${database.password}', 'Spring Boot reads it'),
        }
      : {},
    ...(spring && /postgresql/.test(text) ? { database: fact(true as const, from) } : {}),
    health: /actuator/.test(text) ? [fact('/actuator/health', `${from}: actuator`)] : [],
  };
}

/** PHP with Laravel. */
export function php(folder: Folder): Facts {
  const composer = folder.read('composer.json') ?? '';
  if (!has(folder, 'artisan') || !/laravel\/framework/.test(composer)) return {};
  const program = folder.program('php');
  return {
    is: fact('Laravel', 'composer.json'),
    prepare: [fact(['composer', 'install', '--no-dev', '--no-interaction'], 'composer.json')],
    services: [
      {
        name: 'web',
        start: fact(
          ['sh', '-c', `exec ${program} artisan serve --no-reload --host=$HOST --port=$PORT`],
          'artisan; this is the server for development: php-fpm behind a web server needs a Dockerfile',
        ),
      },
    ],
    env: {
      APP_ENV: fact('production', 'Laravel'),
      DB_CONNECTION: fact('pgsql', 'Laravel'),
      DB_URL: fact('${database.url}', 'Laravel config/database.php'),
    },
    database: fact(true as const, 'composer.json'),
    secrets: { 'app-key': fact('APP_KEY', 'Laravel') },
    workers: /ShouldQueue/.test(
      folder.files
        .filter((f) => f.startsWith('app/'))
        .map((f) => folder.read(f))
        .join('\n'),
    )
      ? [{ name: 'worker', start: fact([program, 'artisan', 'queue:work'], 'app: ShouldQueue') }]
      : [],
    health: [fact('/up', 'Laravel')],
  };
}
