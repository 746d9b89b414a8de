-- What handing out costs: tasks of no work, by the processes of one machine. `make bench BENCH=spec/bench/dispatch.lua`
-- starts itself under each MPI that is installed; RANKS="2 4" says with how many processes.
local mpirun = require "support.mpirun"

local TASKS = 5000

local script = [[
  local core = require "secateur.core"
  local dispatch = require "secateur.experiments.dispatch"
  local mpi = require "secateur.mpi"
  local store = require "secateur.results.store"
  local worker = require "secateur.experiments.worker"
  local group, where = mpi.group(), %q
  local path = where ~= "" and where or nil
  mpi.together(group, function()
    local handlers = { run = function() return { row = ("x"):rep(1500) } end }
    if group.rank > 0 then return worker.run(group, handlers) end
    local list, kept = {}, path and assert(store.open(path)) or nil
    for i = 1, %d do list[i] = { id = "task " .. i, kind = "row", pair = 1, size = 1, needs = {}, label = "task" } end
    function handlers.input_keys() return {} end
    function handlers.keep(task, result)
      if kept then kept:put("samples", task.id, { #result.row }) end
    end
    function handlers.show() end
    local started = core.clock()
    dispatch.run(group, list, handlers, { root = false })
    local seconds = core.clock() - started
    print(("%%d ranks, %%s: %%.0f tasks/s, %%.0f us each"):format(group.size, kept and "kept on disk" or "not kept",
      #list / seconds, 1e6 * seconds / #list))
    if kept then kept:close() end
  end)
]]

for _, flavour in ipairs(mpirun.flavours) do
  local missing
  mpirun.need(function(reason) missing = reason end, flavour)
  print(flavour .. (missing and ": " .. missing or ""))
  for ranks in (missing and "" or os.getenv "RANKS" or "2 4"):gmatch "%d+" do
    for _, path in ipairs { "", os.tmpname() } do
      os.remove(path)
      local _, output = mpirun.run(flavour, tonumber(ranks), script:format(path, TASKS))
      io.write(output)
      os.remove(path)
    end
  end
end
