'use strict';

const express = require('express');
const serverless = require('serverless-http');

const app = express();
app.disable('x-powered-by');
app.use(express.json());
app.use(express.raw({ type: 'application/octet-stream', limit: '6mb' }));

app.get('/', (req, res) => res.send('home'));

app.get('/orders/:id', (req, res) => {
  res.json({ id: req.params.id, query: req.query, user: req.get('x-exh-requesting-user-id') });
});

app.post('/orders', (req, res) => {
  res.status(201).location(`/orders/${req.body.id}`).json({ created: req.body });
});

app.post('/reverse', (req, res) => {
  res.type('application/octet-stream').send(Buffer.from(req.body).reverse());
});

app.get('/cookie', (req, res) => {
  res.cookie('seen', 'yes', { httpOnly: true });
  res.send(req.get('cookie') || 'none');
});

app.get('/old', (req, res) => res.redirect(302, '/new'));

app.delete('/orders/:id', (req, res) => res.status(204).end());

app.get('/broken', () => {
  throw new Error('the app broke');
});

app.use((req, res) => res.status(404).json({ missing: req.path }));

app.use((error, req, res, next) => {
  console.error(error.message);
  res.status(418).json({ error: error.message });
});

exports.handler = serverless(app, { binary: ['application/octet-stream', 'image/*'] });
