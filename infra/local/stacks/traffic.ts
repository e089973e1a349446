import * as pulumi from '@pulumi/pulumi';
import { stackName, type EnvironmentName, type Split } from '../../model.ts';
import { readFoundation } from './foundation.ts';
import { Layout } from '../lib/layout.ts';
import { Routing } from './resources.ts';

export async function trafficStack(
  environment: EnvironmentName,
  split: Split,
): Promise<Record<string, pulumi.Input<unknown>>> {
  const { spec } = await readFoundation(environment);
  const { directory } = new Layout(environment);
  const component = new pulumi.ComponentResource('greenlight:stack:Traffic', stackName(environment, 'traffic'));
  const routing = new Routing('routing', { environment, directory, spec, ...split }, { parent: component });
  return { split: routing.id.apply(() => split) };
}
