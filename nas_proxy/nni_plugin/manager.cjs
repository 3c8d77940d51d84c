// Loaded into NNI 3.0's manager (a Node program) by NODE_OPTIONS="--require manager.cjs": what NNI has no options for.
"use strict";
const childProcess = require("node:child_process");
const net = require("node:net");

delete process.env.NODE_OPTIONS; // for the manager alone, not for the trials it starts

// It listens on all interfaces, without authentication. Here: on 127.0.0.1 only.
if (process.env.NAS_PROXY_EXPOSE !== "1") {
  const listen = net.Server.prototype.listen;
  net.Server.prototype.listen = function (...args) {
    if (typeof args[0] === "object" && args[0] !== null && args[0].port !== undefined) {
      args[0] = { ...args[0], host: "127.0.0.1" };
    } else if (/^\d+$/.test(String(args[0]))) {
      args.splice(1, typeof args[1] === "string" ? 1 : 0, "127.0.0.1");
    }
    return listen.apply(this, args);
  };
}

// It gives up on a tuner that has not connected after ten seconds, which a busy machine may need to start Python.
const setTimeoutOfNode = globalThis.setTimeout;
globalThis.setTimeout = Object.assign(function (callback, delay, ...rest) {
  const patience = delay === 10000 && String(callback).includes("Tuner did not connect") ? 120000 : delay;
  return setTimeoutOfNode(callback, patience, ...rest);
}, setTimeoutOfNode);

// It imports all of NNI in another Python to ask for its version, and no trial starts before: a second of one core.
const VERSION_QUESTION = "nni.tools.nni_manager_scripts.collect_version_info";
const VERSION_ANSWER = `
import importlib.metadata, importlib.util, json, sys
print(json.dumps({
    "nniVersion": importlib.metadata.version("nni"),
    "nniPath": importlib.util.find_spec("nni").submodule_search_locations[0],
    "pythonVersion": "{}.{}.{}-{}-{}".format(*sys.version_info),
    "pythonPath": sys.executable,
}))`;
const spawn = childProcess.spawn;
childProcess.spawn = function (command, args, options) {
  const module = Array.isArray(args) && args[0] === "-m" ? args[1] : null;
  if (module === VERSION_QUESTION) args = ["-c", VERSION_ANSWER];
  // The tuner. Through a shell, which NNI asks for, a space in the path of Python would end its name.
  if (module === "nni") options = { ...options, shell: false };
  return spawn(command, args, options);
};

// It survives the program that started it. Here, if asked: it ends in good order once its parent is gone.
if (process.env.NAS_PROXY_STOP_WITH_PARENT === "1") {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) process.kill(process.pid, "SIGTERM");
  }, 500).unref();
}
