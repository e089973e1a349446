import { listOf, report, type Context, type Path, type Unsure } from './rules.ts';

/** Rules about services that run from an image. */

type Service = Unsure<{
  name: string;
  start: string[];
  image: object;
  limits: object;
  env: Record<string, string>;
}>;

export function startOrImage(service: Service, ctx: Context): void {
  if (service == null) return;
  if (service.start === undefined && service.image === undefined)
    report(ctx, [], 'it has neither start nor image; give a command to start, or an image to run');
  if (service.image !== undefined) return noEngineVariables(service.env, ctx);
  if (service.limits !== undefined)
    report(ctx, ['limits'], 'apply to a service with an image only; give it an image, or leave them out');
}

/** They reach the container through the environment of the engine's command line, which acts on these. */
const ofTheEngine =
  /^(PATH|HOME|TMPDIR|ENV|IFS|LD_.*|XDG_.*|DOCKER_.*|BUILDX_.*|CONTAINERS?_.*|PODMAN_.*|REGISTRY_.*|STORAGE_.*|NOTIFY_SOCKET|LISTEN_.*)$/;

function noEngineVariables(env: Record<string, string> | undefined, ctx: Context, path: Path = []): void {
  for (const key of Object.keys(env ?? {}))
    if (ofTheEngine.test(key))
      report(
        ctx,
        [...path, 'env', key],
        'the container engine acts on this variable itself; set it by ENV in the Dockerfile',
      );
}

type Command = Unsure<{ image: string; env: Record<string, string> }>;
type Application = Unsure<{
  build: object;
  services: Service[];
  jobs: Unsure<{ image: string }>;
  workers: Command[];
  schedules: Command[];
}>;

export function imagesOrBuild(application: Application, ctx: Context): void {
  const services = listOf(application?.services);
  const known = services.every((service) => typeof service?.name === 'string');
  if (application == null || !known) return;
  const withImage = services.filter((service) => service?.image !== undefined).map((service) => String(service?.name));
  const without = services.filter((service) => service?.image === undefined).map((service) => String(service?.name));
  if (application.build === undefined && without.length > 0)
    report(
      ctx,
      ['build'],
      `is missing: ${without.join(', ')} has no image, so there is nothing to start; add a build, or an image`,
    );
  const found =
    withImage.length === 0 ? 'no service has an image' : `services with an image are ${withImage.join(', ')}`;
  const isKnown = (wanted: string | undefined, path: Path): void => {
    if (wanted !== undefined && !withImage.includes(wanted))
      report(ctx, path, `there is no image of "${wanted}": ${found}; name one of them, or leave it out`);
  };
  isKnown(application.jobs?.image, ['jobs', 'image']);
  for (const kind of ['workers', 'schedules'] as const)
    listOf(application[kind]).forEach((program, index) => {
      isKnown(program?.image, [kind, index, 'image']);
      const contained = program?.image !== undefined || (application.build === undefined && withImage.length > 0);
      if (contained) noEngineVariables(program?.env, ctx, [kind, index]);
    });
}

/** On AWS the services share the image of `aws.image`. */
export function noImagesOfServices(application: Application, ctx: Context): void {
  const refuse = (path: Path, todo: string) =>
    report(ctx, ['application', ...path], `is for platform "local"; ${todo}`);
  listOf(application?.services).forEach((service, index) => {
    if (service?.image !== undefined)
      refuse(['services', index, 'image'], 'on AWS all services run from aws.image, with start');
  });
  if (application?.jobs?.image !== undefined) refuse(['jobs', 'image'], 'on AWS jobs run from aws.image');
}
