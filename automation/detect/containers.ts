import { fact, type Facts } from './facts.ts';
import type { Folder } from './folder.ts';
import { find } from './text.ts';

/** What a Dockerfile says. `problem`: why it cannot be built, as far as its text tells. */
export interface Dockerfile {
  file: string;
  stages: string[];
  exposes: string[];
  user?: string;
  runs: boolean;
  problem?: string;
}

const instructions =
  /^(ADD|ARG|CMD|COPY|ENTRYPOINT|ENV|EXPOSE|FROM|HEALTHCHECK|LABEL|MAINTAINER|ONBUILD|RUN|SHELL|STOPSIGNAL|USER|VOLUME|WORKDIR)$/;

/** Reads the instructions of a Dockerfile: continued lines, comments and here-documents are known, nothing is expanded. */
export function readDockerfile(file: string, text: string): Dockerfile {
  const found: Dockerfile = { file, stages: [], exposes: [], runs: false };
  const lines = text.split(/\r?\n/);
  for (let at = 0; at < lines.length; at++) {
    const first = at + 1;
    let line = lines[at]?.trim() ?? '';
    if (line === '' || line.startsWith('#')) continue;
    while (line.endsWith('\\') && at + 1 < lines.length) {
      const next = lines[++at]?.trim() ?? '';
      line = next.startsWith('#') ? line : `${line.slice(0, -1)} ${next}`;
    }
    const [word = '', ...rest] = line.split(/\s+/);
    const instruction = word.toUpperCase();
    const value = rest.join(' ');
    if (!instructions.test(instruction)) return { ...found, problem: `line ${first}: there is no instruction ${word}` };
    if (found.stages.length === 0 && instruction !== 'FROM' && instruction !== 'ARG')
      return { ...found, problem: `line ${first}: ${instruction} comes before the first FROM` };
    const heredoc = /^(?:RUN|COPY|ADD)\b.*<<-?["']?(\w+)["']?/i.exec(line)?.[1];
    if (heredoc !== undefined) while (++at < lines.length && lines[at]?.trim() !== heredoc);
    if (instruction === 'FROM') {
      if (value === '') return { ...found, problem: `line ${first}: FROM names no image` };
      found.stages.push(/\sAS\s+(\S+)$/i.exec(value)?.[1] ?? value);
      // Of a stage before, nothing but the files that are copied out of it is left.
      delete found.user;
      found.exposes = [];
      found.runs = false;
    } else if (instruction === 'EXPOSE') found.exposes.push(...rest);
    else if (instruction === 'USER') found.user = value;
    else if (instruction === 'CMD' || instruction === 'ENTRYPOINT') found.runs = true;
  }
  return found.stages.length === 0 ? { ...found, problem: 'it has no FROM' } : found;
}

/** A Dockerfile, where nothing better is known: a start command needs no container engine. */
export function dockerfile(folder: Folder): Facts {
  const file = find(folder, /^(docker\/)?(Dockerfile|Containerfile)(\.(prod|production))?$/);
  if (file === undefined) return {};
  const found = readDockerfile(file, folder.read(file) ?? '');
  if (found.problem !== undefined) return { notes: [`${file} cannot be built, and was not used: ${found.problem}`] };
  const root = found.user === undefined || /^(root|0)(:|$)/.test(found.user);
  const says = [
    ...(found.stages.length > 1 ? [`${found.stages.length} stages`] : []),
    ...(found.exposes.length > 0 ? [`EXPOSE ${found.exposes.join(' ')}`] : []),
  ];
  return {
    services: [{ name: 'web', image: fact({ dockerfile: file }, [file, ...says].join(', ')) }],
    notes: [
      ...(root ? [`${file} has no USER, so it runs as root; write USER with another one`] : []),
      ...(found.exposes.length > 0
        ? [
            `${file} exposes ${found.exposes.join(', ')}: make the program listen on the variable PORT, as two instances cannot have one port`,
          ]
        : []),
    ],
  };
}
