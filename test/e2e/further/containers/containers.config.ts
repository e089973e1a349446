import quick from '../../quick.config.ts';

const image = { dockerfile: 'test/e2e/further/containers/Dockerfile', context: 'test/e2e/further/containers' };
const [web, api] = quick.application.services;
if (web === undefined || api === undefined) throw new Error('the sample has two services');
const { start: _theImages, ...webInImage } = web;

/** The sample, whose services and jobs run from images. */
export default {
  ...quick,
  application: {
    ...quick.application,
    name: 'test-e2e',
    // The command of the image, and one that replaces it.
    services: [
      { ...webInImage, image },
      { ...api, image, limits: { memoryMegabytes: 256 } },
    ],
    engine: 'podman' as const,
    jobs: { image: 'api' },
  },
};
