// The same through `require`, as the samples of the published page write it.
import sdk = require('neo-service-layer-sdk');

const { NeoServiceLayer } = sdk;
const serviceLayer = new NeoServiceLayer({ apiKey: 'your-api-key-here' });

export const listed: Promise<sdk.Page<sdk.ListedFunction>> = serviceLayer.functions.list({ limit: 10 });
