import { PolicyPack } from '@pulumi/policy';

new PolicyPack('refusing', {
  policies: [
    {
      name: 'no-clusters',
      description: 'No database',
      enforcementLevel: 'mandatory',
      validateResource: ({ type }, report) => {
        if (type === 'greenlight:local:PostgresCluster') report('a cluster is refused');
      },
    },
  ],
});
