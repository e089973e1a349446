import { greenlight } from '../../../lib/command.ts';
import { OperationError } from '../../../lib/errors.ts';
import type { Colour } from '../../../model.ts';

export const rulesMissing = (doing: string, names: string[]): OperationError =>
  new OperationError(
    doing,
    `the listener has no rule for ${names.join(', ')}`,
    `bring the traffic stack up: ${greenlight('resume')}`,
  );

export const halfChanged = (doing: string, live: Colour[]): OperationError =>
  new OperationError(
    doing,
    `some rules send writes to ${live.join(', others to ')}: an earlier change was interrupted, and writes stay held`,
    `${greenlight('resume')} makes them agree`,
  );

export const nothingThere = (doing: string, { colour, service }: { colour: Colour; service: string }): OperationError =>
  new OperationError(doing, `${colour} has no target group of ${service}`, 'bring that colour up first');

export const notKept = (doing: string, names: string[]): OperationError =>
  new OperationError(
    doing,
    `AWS accepted the change, but these rules differ from it: ${names.join(', ')}`,
    `somebody else may have changed them; ${greenlight('status')}, then repeat the command`,
  );

export const heldNoMore = (doing: string): OperationError =>
  new OperationError(
    doing,
    'the lease of the write hold has expired: changing the rules one by one would send writes to both colours',
    'find out what was slow, or allow more time (cutover.holdMs); then repeat the command',
  );

export const heldInPart = (doing: string): OperationError =>
  new OperationError(
    doing,
    'only some rules of the write hold are on: changing the rules one by one would send writes to both colours',
    `somebody else may have moved them; ${greenlight('status')}, then repeat the command`,
  );
