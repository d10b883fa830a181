// The API function the scenario calls: says what it was asked, fails where it is told to.
exports.handler = async (event) => {
  console.log(`asked for ${event.rawPath}`);
  const status = event.rawPath.match(/^\/status\/(\d+)$/);
  if (status) {
    return { statusCode: Number(status[1]), body: { said: 'by the function' } };
  }
  if (event.rawPath === '/throw') {
    throw new RangeError('qty too big');
  }
  if (event.rawPath === '/binary') {
    return { statusCode: 200, headers: { 'Content-Type': 'image/png' }, isBase64Encoded: true, body: 'AP+A' };
  }
  const body = event.isBase64Encoded ? Buffer.from(event.body, 'base64').toString('hex') : event.body;
  return {
    statusCode: 200,
    body: {
      method: event.requestContext.http.method,
      path: event.rawPath,
      query: event.rawQueryString,
      user: event.headers['x-exh-requesting-user-id'],
      body,
    },
  };
};
