--- A model: a graph with named parameters, and the plans that run it.
-- @module secateur.models.model
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local file_kind = require "secateur.util.file_kind"
local files = require "secateur.util.files"
local export = require "secateur.models.export"
local model_file = require "secateur.models.model_file"
local layers = require "secateur.models.layers"
local methods = require "secateur.util.methods"
local options = require "secateur.util.options"
local preparation = require "secateur.models.preparation"
local pruning_plan = require "secateur.models.pruning_plan"
local profile = require "secateur.models.profile"
local load_state = require "secateur.models.load_state"
local targets = require "secateur.models.targets"
local visible = require "secateur.util.visible"

local model = {}

--- A classifier.
-- @type Model
-- @field graph the native Graph
-- @field info what is saved with the model: `architecture`; `preparation` (how its training images were prepared, see
--   `preparation()`) and `normalisation` ({mean, std} of these); `classes` (list of names); `head` ("sigmoid")
-- @field head what makes probabilities of its logits: "softmax" (one of the classes is true), or "sigmoid" (each
--   finding by itself; of one logit: the second of two classes)
-- @field output_count how many logits it has
-- @field class_count how many classes it tells apart: one per logit, two where a sigmoid head has one logit
-- @field classes their names, those of `info`, where they are known
-- @field pruning_plan of a pruned model: which units are gone; `plan` for short
local Model = {}
Model.__name = "Model"

local aliases = { plan = "pruning_plan" }

function Model:__index(key)
  if key == "classes" then return rawget(self, "info").classes end
  if key == "head" then return rawget(self, "info").head or "softmax" end
  if key == "class_count" then
    local count = rawget(self, "output_count")
    return count == 1 and self.head == "sigmoid" and 2 or count
  end
  local name = aliases[key]
  if name then return rawget(self, name) end
  return Model[key]
end

function Model:__newindex(key, value) rawset(self, aliases[key] or key, value) end

--- Wraps a graph.
-- @tparam Graph graph
-- @tparam[opt] table info strings that are saved with the model
-- @treturn Model
function model.new(graph, info)
  local nodes = graph:nodes()
  local self = setmetatable({ graph = graph, info = info or {} }, Model)
  for _, node in ipairs(nodes) do
    if node.op == "input" then
      if self.input_shape or node.name ~= "input" then
        errors.raise("graph: expected one input, called 'input', got '%s'%s", node.name,
          self.input_shape and " as well" or "")
      end
      self.input_shape = node.shape
    end
    if node.name == graph:output() then self.output_shape = node.shape end
  end
  if not self.input_shape then errors.raise("the graph has no input") end
  self.output_count = self.output_shape[#self.output_shape]
  return self
end

--- Whether a value is a model.
-- @param value anything
-- @treturn boolean
function model.is(value)
  return getmetatable(value) == Model
end

--- Raises `name: argument: expected a Model, got ...` unless it is one.
-- @string name the public function
-- @param value
-- @string[opt="model"] argument
function model.check(name, value, argument)
  if model.is(value) then return end
  errors.refuse(name, "%s: expected a Model, got %s", argument or "model", options.describe(value))
end

--- An execution plan for runs of up to `batch` samples. The last plan is kept, so that runs of one kind in a row share
-- it.
-- @int batch
-- @tparam[opt] table request fields of core.plan: `backward`, `training`, `params`, `frozen`, `keep`,
-- `keep_grads`
-- @treturn ExecutionPlan
function Model:execution_plan(batch, request)
  request = request or {}
  local key = table.concat({ tostring(request.backward), tostring(request.training), tostring(request.params),
    tostring(request.collect_statistics),
    table.concat(request.frozen or {}, "\0"), table.concat(request.keep or {}, "\0"),
    table.concat(request.keep_grads or {}, "\0") }, "\1")
  local last = self.last_execution_plan
  if last and self.last_key == key and self.last_batch >= batch then return last end
  if last then last:close() end -- before the next is made: one arena at a time
  self.last_execution_plan = nil
  local given = { batch = batch }
  for name, value in pairs(request) do given[name] = value end
  self.last_execution_plan, self.last_key, self.last_batch = core.plan(self.graph, given), key, batch
  return self.last_execution_plan
end

--- Frees the memory of the last execution plan.
function Model:release()
  if self.last_execution_plan then self.last_execution_plan:close() end
  self.last_execution_plan = nil
end

--- Raises unless x is a batch for this model,.
-- @string name the public function
-- @param x
-- @treturn int the number of samples
function Model:check_batch(name, x)
  local shape = type(x) == "userdata" and x.shape and x:shape()
  local good = shape and #shape == #self.input_shape + 1 and shape[1] > 0 and x:dtype():find("^float")
  for d = 1, good and #self.input_shape or 0 do good = good and shape[d + 1] == self.input_shape[d] end
  if not good then
    errors.refuse(name, "x: expected a Tensor [N x %s], got %s", table.concat(self.input_shape, " x "),
      shape and ("[%s] %s"):format(table.concat(shape, " x "), x:dtype()) or options.describe(x))
  end
  return shape[1]
end

--- Logits of a batch, in inference mode.
-- @tparam Tensor x [N x channels x height x width]
-- @treturn Tensor [N x classes]
function Model:forward(x)
  local count = self:check_batch("forward", x)
  return self:execution_plan(count):forward(x)
end

--- Where the time of `forward` goes: each step of a run is measured, the first run not counted. Operations that are
-- computed in one step, as a convolution with its norm and activation, are one row.
-- @tparam Tensor x [N x channels x height x width]
-- @tparam[opt] table opts `repeats` (5): runs, of which a step's time is the median
-- @treturn Profile `rows` ({`name`, `op`, `ms`, `gflops`, `bytes`} each), `ms`, `gflops`, `batch`, `repeats`,
--   `csv(path)`; `tostring` gives a table
function Model:profile(x, opts)
  local checked = options.check("profile", opts, { repeats = { type = "integer", min = 1, default = 5 } })
  local count = self:check_batch("profile", x)
  return profile.measure(self.graph, self:execution_plan(count), x, checked.repeats)
end

--- Gradients of the target logits with respect to the input and to every node, in inference mode.
-- @tparam Tensor x [N x channels x height x width]
-- @tparam[opt] table opts `target`: as in `attribute`; "prediction" by default
-- @treturn table `input` and every node name -> Tensor of that node's output shape
function Model:gradient(x, opts)
  local checked = options.check("gradient", opts, { target = { default = "prediction" } })
  local count = self:check_batch("gradient", x)
  local names = {}
  for _, node in ipairs(self.graph:nodes()) do names[#names + 1] = node.name end
  local execution_plan = self:execution_plan(count, { backward = true, keep_grads = names })
  local logits = execution_plan:forward(x)
  execution_plan:backward((targets.weights("gradient", checked.target, logits, self.class_count)))
  local gradients = {}
  for _, name in ipairs(names) do gradients[name] = execution_plan:grad(name) end
  return gradients
end

--- Parameters by name, running statistics included. The tensors are the model's own: training changes copies.
-- @treturn table name -> Tensor
function Model:state()
  local tensors = {}
  for _, parameter in ipairs(self.graph:parameters()) do
    tensors[parameter.name] = self.graph:parameter(parameter.name)
  end
  return tensors
end

local function is_patterns(value)
  for _, pattern in ipairs(type(value) == "table" and value or { value }) do
    if type(pattern) ~= "string" or not pcall(string.find, "", pattern) then return false, "Lua patterns" end
  end
  return true
end

local load_rules = {
  key = { type = "string" },
  prefix = { type = "string" },
  exclude = { type = { "string", "list" }, default = {}, check = is_patterns },
  leave = "exclude",
}

--- Takes parameters from a table or from a file of weights (safetensors, PyTorch), all or none. Every name of the model
-- must be there with its shape, and none besides; only the counters of batch norms may be missing. Names may be
-- torchvision's or timm's (see secateur.formats.parameter_names), all of them behind "module.", "_orig_mod." or
-- "model.". The model shares a table's tensors until it trains. A pruned model loses its plan to weights that are not
-- zero there.
-- @tparam string|table from path, or table name -> Tensor
-- @tparam[opt] table opts `prefix`: only names that start with it count, and are looked up without it; `exclude`: a Lua
--   pattern, or a list of them, of parameters that stay as they are, as `"^fc%."` for a head of another size; `key`:
--   which dictionary in a PyTorch file to take, as "model_ema"
-- @treturn Model self
function Model:load_state(from, opts)
  local checked = options.check("load_state", opts, load_rules)
  if type(from) ~= "table" and type(from) ~= "string" then
    errors.refuse("load_state", "from: expected a path or a table, got " .. options.describe(from))
  end
  if checked.key and type(from) == "table" then
    errors.refuse("load_state", "key: expected none with a table, which is the dictionary itself")
  end
  local exclude = type(checked.exclude) == "string" and { checked.exclude } or checked.exclude
  errors.within("load_state", load_state.load_from, self.graph, from, { prefix = checked.prefix, exclude = exclude,
    key = checked.key })
  if self.pruning_plan and not pruning_plan.holds(self.pruning_plan, self.graph) then self.pruning_plan = nil end
  return self
end

--- How the images of the model were prepared, as options of `sc.data`: `size`, `channels`, and where they are known
-- `mean`, `std`, `resize`, `crop`, `interpolation`, `range`. Models that were trained here know all of them.
-- @treturn table
-- @usage
-- local data = sc.data.folder("images", model:preparation()) -- or { like = model }, which takes the classes too
function Model:preparation()
  return preparation.of(self)
end

--- A model with the same graph that shares all parameters until one of the two trains.
-- @treturn Model
function Model:clone()
  local info = {}
  for key, value in pairs(self.info) do info[key] = value end
  local copy = model.new(self.graph:copy(), info)
  copy.pruning_plan = self.pruning_plan and pruning_plan.copy(self.pruning_plan)
  return copy
end

--- Writes the graph, all parameters and the plan of a pruned model to one safetensors file; `sc.load` reads it back
-- without any code.
-- @string path its folder is made where it is missing
function Model:save(path)
  options.value("save", "path", path, { type = "string", required = true })
  file_kind.check("save", path, "safetensors")
  files.mkdir_p(files.directory(path)) -- a model is not to be lost for want of a folder
  local ok, message = errors.try(model_file.write, self, path)
  if not ok then errors.refuse("save", message) end
end

--- Writes the parameters alone to a safetensors file that PyTorch loads with `strict=True` into the model of that
-- architecture: torchvision's names, and its shapes, as masked models keep them.
-- @string path
-- @tab[opt] opts `names` ("torchvision"; ViTs also "timm")
function Model:export_state(path, opts)
  export.state(self, path, opts)
end

--- Writes the network as an ONNX model (opset 17): inference alone, any batch, float32, nodes under the names of
-- `summary()`. In the metadata are `architecture`, `head` where it is "sigmoid" (one output then is the second
-- class's), and where known `classes`, `normalisation` (mean and std) and `preparation` (resize, crop, interpolation,
-- range, window), as JSON.
-- @string path
-- @tab[opt] opts `fold` (false: batch norms into the layers before them), `probabilities` (false; true: of
--   the head, by softmax or sigmoid, instead of logits; `softmax` is its old name), `normalise` (false: takes images in
--   [0, 1] and normalises them itself, by `info.normalisation`), `name` of the graph (the architecture), `input_name`
--   ("input"), `output_name` ("logits", or "probabilities"), `classes` (list of names, `info.classes` by default)
-- @raise also when the model is larger than 2 GiB, the most that a protocol buffer holds
function Model:export_onnx(path, opts)
  export.onnx(self, path, opts)
end

--- The layers that can be pruned, in order: every convolution and linear layer except the one that makes the output.
-- @treturn {table,...} each `name`, `kind` ("conv" or "linear"), `units`, `params` (numbers in weight and bias),
-- `macs`, of a pruned model also `units_left`; printed, the list is a table
function Model:layers()
  return layers.list(self)
end

--- The nodes as a table of text: name, operation, output shape, parameters, multiply-adds of one sample; of a pruned
-- model the last three also without the units that are gone, as `compact` leaves them.
-- @treturn string
function Model:summary()
  return layers.summary(self)
end

function Model:__tostring()
  local parameters, macs = layers.totals(self)
  return ("Model %s: [%s] -> %d classes, %.2f M parameters, %.3f GMAC%s"):format(
    visible(self.info.architecture or "custom"), table.concat(self.input_shape, " x "), self.class_count,
    parameters / 1e6, macs / 1e9, layers.describe_pruned(self))
end

methods.guard(Model)

return model
