import { on, unless, type Rule } from './rule.ts';

interface Container {
  name: string;
  image: string;
  readonlyRootFilesystem?: boolean;
  privileged?: boolean;
  logConfiguration?: unknown;
  environment?: { name: string; value: string }[];
}

/** Usual endings of the names of secret variables, and URLs that contain a password. */
const secretName = /(PASSWORD|SECRET|TOKEN|PRIVATE_KEY|DATABASE_URL)$/;
const secretValue = /:\/\/[^/@\s]+:[^/@\s]+@/;

const container = ({ name, ...found }: Container): string[] => [
  ...unless(found.readonlyRootFilesystem === true, `${name} can write to its root file system`),
  ...unless(found.privileged !== true, `${name} is privileged`),
  ...unless(found.logConfiguration !== undefined, `${name} has no log configuration`),
  ...unless(
    !/:latest$/.test(found.image) && /[:@]/.test(found.image),
    `${name} runs an image without a fixed tag or digest: ${found.image}`,
  ),
  ...(found.environment ?? [])
    .filter((variable) => secretName.test(variable.name) || secretValue.test(variable.value))
    .map((variable) => `${name} has a secret in the plain variable ${variable.name}`),
];

export const containers: Rule = {
  name: 'containers',
  description:
    'Containers have a read-only root file system, are not privileged, are logged, and get secrets as ECS secrets.',
  each: on(['ecs/taskDefinition:TaskDefinition'], ({ props }) =>
    (JSON.parse(String(props['containerDefinitions'])) as Container[]).flatMap(container),
  ),
};

export const images: Rule = {
  name: 'images',
  description: 'Images are scanned on push, and tags are immutable.',
  each: on(['ecr/repository:Repository'], ({ props }) => {
    const scanning = props['imageScanningConfiguration'] as { scanOnPush?: boolean } | undefined;
    return [
      ...unless(scanning?.scanOnPush === true, 'its images are not scanned'),
      ...unless(props['imageTagMutability'] === 'IMMUTABLE', 'its tags can be moved'),
    ];
  }),
};
