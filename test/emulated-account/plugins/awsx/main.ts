import * as pulumi from '@pulumi/pulumi';
import type { ConstructResult, Provider } from '@pulumi/pulumi/provider/provider.js';
import { main } from '@pulumi/pulumi/provider/server.js';
import { endWithEngine } from '../parent.ts';
import { Vpc, type VpcInputs } from './vpc.ts';

const version = '3.9.0';

/** Its component consists of resources of the plug-in `aws`, which reads, updates and deletes them. */
const provider: Provider = {
  version,
  schema: JSON.stringify({ name: 'awsx', version }),
  async construct(name, type, inputs, options): Promise<ConstructResult> {
    if (type !== 'awsx:ec2:Vpc') throw new Error(`the stand-in of awsx has no component ${type}`);
    const plain = await new Promise<VpcInputs>((resolve) => {
      pulumi.output(inputs).apply((known) => resolve(known as VpcInputs));
    });
    const vpc = new Vpc(name, plain, options);
    return { urn: vpc.urn, state: vpc.outputs };
  },
};

endWithEngine();
await main(provider, process.argv.slice(2));
