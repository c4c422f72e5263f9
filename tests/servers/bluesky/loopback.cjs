// The network listens on every interface; here it may not. Loaded before everything else (node --require).
'use strict'
const net = require('node:net')
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (...args) {
  const [first] = args
  if (first !== null && typeof first === 'object' && 'port' in first) {
    args[0] = { ...first, host: '127.0.0.1' }
  } else if (first === undefined || typeof first === 'number' || /^\d+$/.test(first)) {
    const rest = args.slice(1).filter((each) => typeof each !== 'string')
    args = [first ?? 0, '127.0.0.1', ...rest]
  }
  return listen.apply(this, args)
}
