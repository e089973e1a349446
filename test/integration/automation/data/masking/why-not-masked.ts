import { expect } from 'chai';
import { maskDatabase } from '../../../../../automation/data/masking/mask.ts';
import type { Harmless, MaskRule } from '../../../../../automation/data/masking/rules.ts';
import { OperationError } from '../../../../../infra/lib/errors.ts';
import type { Rig } from '../rig.ts';

/** Masks blue, and resolves to the message of what was found instead; empty if it worked. */
export async function whyNotMasked(rig: Rig, rules: MaskRule[], harmless: Harmless[] = []): Promise<string> {
  try {
    await maskDatabase(rig.blue.access, rules, 'a secret', harmless);
    return '';
  } catch (error) {
    expect(error).to.be.instanceOf(OperationError);
    return (error as OperationError).message;
  }
}
