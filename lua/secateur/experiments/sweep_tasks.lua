--- A sweep as tasks: what is missing in the store, in which order, and what each needs.
--
-- A task is plain data, which can be sent to another process: `id` (unique), `kind` ("model", "dense", "samples",
-- "scores", "row"), `pair` (a place in `job.pairs`), its axes (`method`, `sampling`, `seed`, `redundancy`, `repair`,
-- `rate`, as many as it has), `needs` (ids of those that must be done before), `size` (about how many multiply-adds it
-- is) and `label`. Who owns the store calls `list`, `inputs`, `keep` and `fail`; whoever has a job of the same options
-- can `run` it (`secateur.experiments.sweep_work`), and needs no store for that.
-- @module secateur.experiments.sweep_tasks
local errors = require "secateur.util.errors"
local json = require "secateur.util.json"
local sweep_settings = require "secateur.experiments.sweep_settings"
local task_sizes = require "secateur.experiments.task_sizes"
local work = require "secateur.experiments.sweep_work"

local tasks = {}

-- ---- order ----

--- Calls a function with every group of a sweep's rows, in order: those that share scores.
-- @tab job
-- @func visit called with `{seed=, sampling=, method=, redundancy=}`
function tasks.each_group(job, visit)
  for _, seed in ipairs(job.options.seeds) do
    for _, sampling in ipairs(job.samplings) do
      for _, method in ipairs(job.methods) do
        for _, redundancy in ipairs(job.redundancies) do
          visit { seed = seed, sampling = sampling.name, method = method.name, redundancy = redundancy }
        end
      end
    end
  end
end

--- Calls a function with every row of a group, in order.
-- @tab job
-- @tab group
-- @func visit called with the axes of the group, and `repair` and `rate`
function tasks.each_row(job, group, visit)
  for _, repair in ipairs(job.repairs) do
    for _, rate in ipairs(job.options.rates) do
      visit { seed = group.seed, sampling = group.sampling, method = group.method, redundancy = group.redundancy,
        repair = repair, rate = rate }
    end
  end
end

-- ---- what is missing ----

local function label_of(pair, axes)
  local parts = { pair.dataset, pair.name }
  if axes.method then parts[#parts + 1] = axes.method .. (axes.redundancy and " with redundancy" or "") end
  if axes.sampling then parts[#parts + 1] = axes.sampling end
  if axes.seed then parts[#parts + 1] = ("seed %d"):format(axes.seed) end
  if axes.repair and axes.repair ~= "none" then parts[#parts + 1] = axes.repair end
  if axes.rate then parts[#parts + 1] = ("rate %g"):format(axes.rate) end
  return table.concat(parts, ", ")
end

-- What is kept of a task under which kinds.
local kept = { model = { "model" }, dense = { "baseline", "logits" }, samples = { "samples" }, scores = { "scores" },
  row = { "row" } }

local function is_kept(job, kind, pair, axes)
  for _, name in ipairs(kept[kind]) do
    if not job.store:has(name, sweep_settings.key(job, name, pair, axes)) then return false end
  end
  return true
end

-- Adds a task unless it is in the list already.
local function add(plan, kind, pair, axes, needs)
  local key = sweep_settings.key(plan.job, kept[kind][1], pair, axes)
  local id = kind .. " " .. key
  if not plan.added[id] then
    local task = { id = id, kind = kind, pair = pair.index, key = key, needs = needs, label = label_of(pair, axes),
      size = task_sizes.estimate(plan.job, kind, pair, axes) }
    for axis, value in pairs(axes) do task[axis] = value end
    plan.added[id] = true
    plan.list[#plan.list + 1] = task
  end
  return id
end

-- The same where the store does not have it; `needs` is a list that grows by its id.
local function add_missing(plan, kind, pair, axes, needs, own)
  if is_kept(plan.job, kind, pair, axes) then return end
  needs[#needs + 1] = add(plan, kind, pair, axes, own)
end

local function copy(list) return table.move(list, 1, #list, 1, {}) end

-- The rows of a group that are missing, and what they need.
local function list_group(plan, pair, group, before)
  local job, rows = plan.job, {}
  tasks.each_row(job, group, function(axes)
    plan.total = plan.total + 1
    if not is_kept(job, "row", pair, axes) then rows[#rows + 1] = axes end
  end)
  if #rows == 0 then return end
  if not before.model then
    before.model, before.dense = {}, {}
    if type(pair.source) == "function" then before.model[1] = add(plan, "model", pair, {}, {}) end
    before.dense = copy(before.model)
    add_missing(plan, "dense", pair, {}, before.dense, copy(before.model))
  end
  local needs, for_scores = copy(before.dense), copy(before.model)
  if not is_kept(job, "scores", pair, group) then
    add_missing(plan, "samples", pair, { seed = group.seed, sampling = group.sampling }, for_scores,
      copy(before.model))
    needs[#needs + 1] = add(plan, "scores", pair, group, for_scores)
  end
  for _, axes in ipairs(rows) do add(plan, "row", pair, axes, copy(needs)) end
end

--- What is missing in a job's store, each after what it needs: the order in which one process goes through it.
-- @tab job with `store`
-- @treturn {table,...} tasks
-- @treturn int how many rows there are to be in all
function tasks.list(job)
  local plan = { job = job, list = {}, added = {}, total = 0 }
  for _, pair in ipairs(job.pairs) do
    local before = {}
    tasks.each_group(job, function(group) list_group(plan, pair, group, before) end)
  end
  return plan.list, plan.total
end

-- ---- in and out of the store ----

-- What each kind of task takes of the store.
local taken = { model = { "model" }, dense = {}, samples = {}, scores = { "samples", "findings", "weights" },
  row = { "baseline", "logits", "scores" } }

--- What a task takes of the store: many tasks have some of it in common, which needs to be sent to a process once.
-- @tab job
-- @tab task
-- @treturn {table,...} `name` in the inputs, `kind` and `key` in the store
function tasks.input_keys(job, task)
  local pair, list = job.pairs[task.pair], {}
  for i, name in ipairs(taken[task.kind]) do
    list[i] = { name = name, kind = name, key = sweep_settings.key(job, name, pair, task) }
  end
  if task.kind ~= "model" and type(pair.source) == "function" then
    list[#list + 1] = { name = "model", kind = "model", key = sweep_settings.key(job, "model", pair) }
  end
  return list
end

--- The inputs of a task, as plain data.
-- @tab job with `store`, which has all that the task needs
-- @tab task
-- @func[opt] get (kind, key) -> value, in place of the store's
-- @treturn table
function tasks.inputs(job, task, get)
  local inputs = {}
  get = get or function(kind, key) return job.store:get(kind, key) end
  for _, input in ipairs(tasks.input_keys(job, task)) do inputs[input.name] = get(input.kind, input.key) end
  return inputs
end

--- Does a task: computes what it is for from its inputs. The store of the job is not touched.
-- @tab job
-- @tab task
-- @tab inputs
-- @treturn table plain data
function tasks.run(job, task, inputs)
  return json.decode(json.encode(work[task.kind](job, job.pairs[task.pair], task, inputs)))
end

-- Says once what a task had to say.
local function say(job, note)
  job.said = job.said or {}
  if not note or job.said[note] then return end
  job.said[note] = true
  if job.progress then job.progress:clear() end
  errors.warn("%s", note)
end

-- What a row depends on, for who reads the store without the sweep.
local function keep_settings(job, pair, task)
  local settings, hash = sweep_settings.of(job, "row", pair, task)
  job.kept_settings = job.kept_settings or {}
  if job.kept_settings[hash] then return end
  if not job.store:has("settings", hash) then job.store:put("settings", hash, settings) end
  job.kept_settings[hash] = true
end

--- Keeps what came of a task.
-- @tab job with `store`
-- @tab task
-- @tab result what `run` gave
function tasks.keep(job, task, result)
  local pair = job.pairs[task.pair]
  if task.kind == "row" then
    keep_settings(job, pair, task)
    job.store:put("row", task.key, result.row)
    if job.store:has("failure", task.key) then job.store:remove("failure", task.key) end
    say(job, result.note)
    return
  end
  -- The last is what tells whether the task is done.
  local order = { "findings", "weights", "samples", "baseline", "logits", "scores", "model" }
  for _, kind in ipairs(order) do
    if result[kind] ~= nil then job.store:put(kind, sweep_settings.key(job, kind, pair, task), result[kind]) end
  end
end

--- Keeps that a task failed; of a row, or of what rows need: then each of these is to be failed as well.
-- @tab job with `store`
-- @tab task
-- @string message
function tasks.fail(job, task, message)
  if task.kind ~= "row" then return end
  local pair = job.pairs[task.pair]
  job.store:put("failure", task.key, { dataset = pair.dataset, model = pair.name, method = task.method,
    sampling = task.sampling, seed = task.seed, rate = task.rate, redundancy = task.redundancy, repair = task.repair,
    error = message })
end

tasks.export_model, tasks.import_model, tasks.release = work.export_model, work.import_model, work.release

return tasks
