import { manifestOf } from './node.ts';
import { fact, type Facts, type TestFacts, type TestKind } from './facts.ts';
import type { Folder } from './folder.ts';
import { pythonCommand, requirementsOf } from './python.ts';
import { find, grep, has } from './text.ts';

/** Test runners. Each is asked for JUnit XML where it can write it; else its exit code is all that it says. */

/** What a script or a package tells of a runner. */
interface Runner {
  name: string;
  used: (line: string, packages: Record<string, string>) => boolean;
  command: (packages: Record<string, string>) => string[];
  format: (packages: Record<string, string>) => TestFacts['format'];
  kind?: TestKind;
}

const bin = (name: string, ...args: string[]): string[] => [`node_modules/.bin/${name}`, ...args];

const runners: Runner[] = [
  {
    name: 'Playwright',
    used: (line, packages) => /playwright test/.test(line) || packages['@playwright/test'] !== undefined,
    command: () => ['env', 'PLAYWRIGHT_JUNIT_OUTPUT_NAME={results}', ...bin('playwright', 'test', '--reporter=junit')],
    format: () => 'junit',
    kind: 'acceptance',
  },
  {
    name: 'Vitest',
    used: (line) => /\bvitest\b/.test(line),
    command: () => bin('vitest', 'run', '--reporter=junit', '--outputFile={results}'),
    format: () => 'junit',
  },
  {
    name: 'Jest',
    used: (line) => /\bjest\b/.test(line),
    command: (packages) =>
      packages['jest-junit'] === undefined
        ? bin('jest', '--ci')
        : ['env', 'JEST_JUNIT_OUTPUT_FILE={results}', ...bin('jest', '--ci', '--reporters=jest-junit')],
    format: (packages) => (packages['jest-junit'] === undefined ? 'exit-code' : 'junit'),
  },
  {
    name: 'Mocha',
    used: (line) => /\bmocha\b/.test(line),
    command: () => bin('mocha', '--reporter', 'xunit', '--reporter-option', 'output={results}'),
    format: () => 'junit',
  },
];

/** The tests of Node.js packages. */
function ofNode(folder: Folder): TestFacts[] {
  const manifest = manifestOf(folder);
  if (manifest === undefined) return [];
  const { scripts, packages } = manifest;
  const line = scripts['test'] ?? '';
  const placeholder = /no test specified/.test(line);
  const found: TestFacts[] = [];
  for (const { name, used, command, format, kind } of runners) {
    if (!used(placeholder ? '' : line, packages)) continue;
    const from = kind === undefined ? `package.json scripts.test: ${name}` : name;
    found.push({
      kind: kind ?? kindOf(folder),
      command: fact(withFiles(line, command(packages)), from),
      format: format(packages),
    });
  }
  const native = /\bnode\s+(?:--\S+\s+)*--test\b/.exec(line);
  if (native !== null) {
    const files = line
      .split(/\s+/)
      .slice(1)
      .filter((word) => !word.startsWith('-') && !/[|&;<>]/.test(word));
    const command = [
      'node',
      '--test',
      '--test-reporter=junit',
      '--test-reporter-destination={results}',
      ...files.map(unquoted),
    ];
    found.push({
      kind: kindOf(folder),
      command: fact(command, 'package.json scripts.test: node --test'),
      format: 'junit',
    });
  }
  if (found.every(({ kind }) => kind === 'acceptance') && line !== '' && !placeholder && !runners[0]?.used(line, {}))
    found.push({
      kind: kindOf(folder),
      command: fact(['npm', 'test'], 'package.json scripts.test'),
      format: 'exit-code',
    });
  return found;
}

const unquoted = (word: string): string => word.replace(/^(['"])(.*)\1$/, '$2');

/** The files that a script names after its runner. */
function withFiles(line: string, command: string[]): string[] {
  if (/&&|\|/.test(line)) return command;
  const words = line.split(/\s+/).map(unquoted);
  const files = words.filter(
    (word) => !word.startsWith('-') && /[/*]|\.[cm]?[jt]s$/.test(word) && !word.includes('node_modules'),
  );
  return [...command, ...files];
}

/** Tests that want a database are integration tests: the others get none. */
function kindOf(folder: Folder): TestKind {
  const tests = /(^|\/)(tests?|__tests__|spec)\/|\.(test|spec)\.|(^|\/)test_[^/]*\.py$|_test\.go$/;
  return grep(folder, tests, /DATABASE_URL|PGHOST|DB_HOST|new (pg\.)?(Pool|Client)\(|PrismaClient/) === undefined
    ? 'unit'
    : 'integration';
}

/** The tests of a version, by the runner that it uses. */
export function tests(folder: Folder): Facts {
  const node = ofNode(folder);
  if (node.length > 0) return { tests: onePerKind(node) };
  const python = requirementsOf(folder);
  if (
    python !== undefined &&
    (python.names.has('pytest') || find(folder, /^(pytest\.ini|conftest\.py|tests\/conftest\.py)$/) !== undefined)
  ) {
    if (has(folder, 'manage.py'))
      return {
        notes: [
          'pytest with Django makes a database of its own, which the role of the tests may not: name a command in tests.integration',
        ],
      };
    const command = pythonCommand(folder, '-m', 'pytest', '--junitxml={results}');
    return { tests: [{ kind: kindOf(folder), command: fact(command, `${python.file}: pytest`), format: 'junit' }] };
  }
  if (has(folder, 'go.mod') && find(folder, /_test\.go$/) !== undefined)
    return {
      tests: [
        {
          kind: kindOf(folder),
          command: fact([folder.program('go'), 'test', './...'], '*_test.go'),
          format: 'exit-code',
        },
      ],
    };
  const gems = `${folder.read('Gemfile') ?? ''}${folder.read('Gemfile.lock') ?? ''}`;
  if (/\brspec\b|rspec-rails/.test(gems)) {
    const junit = /rspec_junit_formatter/.test(gems);
    const command = [
      folder.program('bundle'),
      'exec',
      'rspec',
      ...(junit ? ['--format', 'RspecJunitFormatter', '--out', '{results}'] : []),
    ];
    return {
      tests: [{ kind: 'integration', command: fact(command, 'Gemfile: rspec'), format: junit ? 'junit' : 'exit-code' }],
    };
  }
  if (has(folder, 'pom.xml') && find(folder, /^src\/test\/.*\.(java|kt)$/) !== undefined) {
    const program = has(folder, 'mvnw') ? './mvnw' : folder.program('mvn');
    return {
      tests: [
        {
          kind: 'unit',
          command: fact([program, '--batch-mode', 'test'], 'pom.xml, src/test: surefire'),
          format: 'exit-code',
        },
      ],
    };
  }
  return {};
}

const onePerKind = (found: TestFacts[]): TestFacts[] =>
  found.filter((one, at) => found.findIndex(({ kind }) => kind === one.kind) === at);
