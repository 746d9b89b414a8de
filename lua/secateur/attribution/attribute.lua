--- Explains predictions: how much each input pixel, and each node inside the network, contributed to an output.
-- @module secateur.attribution.attribute
local errors = require "secateur.util.errors"
local merge_batches = require "secateur.attribution.merge_batches"
local methods = require "secateur.attribution.methods"
local model_class = require "secateur.models.model"
local options = require "secateur.util.options"
local targets = require "secateur.models.targets"
local visible = require "secateur.util.visible"

--- What attribute returns.
-- @table Attribution
-- @field input Tensor like x
-- @field layers node name -> Tensor of that node's output shape
-- @field target list of classes explained
-- @field against (contrasts) list of the classes that they are held against
-- @field weights Tensor [N x classes]: the attribution is of the sum of weights * logits
-- @field logits Tensor [N x classes]
-- @field positive (dlb, contrastive) a table of `input` and `layers`: what speaks for the target
-- @field negative (dlb, contrastive) the same of what speaks against it; `input` and `layers` are the difference
-- @field gap (ig) list: |sum at the input - (f(x) - f(baseline))| per sample; of several baselines, of the mean
-- @field steps (ig) list of the steps taken per sample
-- @field method its name
local Attribution = {}
Attribution.__index = Attribution
Attribution.__name = "Attribution"

function Attribution:__tostring()
  local against = self.against and " against " .. table.concat(self.against, " ") or ""
  return ("Attribution %s of %d samples, targets %s%s; sum at the input %.4g; layers: %s"):format(
    visible(self.method), self.input:size(1), table.concat(self.target, " "), against, self.input:sum(),
    visible(table.concat(options.sorted_keys(self.layers), ", ")))
end

-- The nodes whose attribution is wanted.
local function choose_layers(model, wanted, family, checked)
  if wanted == nil and family.default_layers then return family.default_layers(model, checked) end
  local default, all = {}, {}
  for _, node in ipairs(model.graph:nodes()) do
    if node.channels == "produce" then default[#default + 1] = node.name end
    if node.op ~= "input" then all[#all + 1] = node.name end
  end
  if wanted == nil then return default end
  if wanted == "all" then return all end
  if type(wanted) == "string" then wanted = { wanted } end
  for _, name in ipairs(wanted) do
    if type(name) ~= "string" or not model.graph:node(name) then
      errors.refuse("attribute", "layers: expected nodes of the model, got %s%s", options.describe(name),
        options.suggest(name, all))
    end
  end
  return wanted
end

-- Part after part of x, so that memory beyond the results does not grow with the number of samples.
local function explain_parts(model, x, family, request, read)
  local count, first, result = x:size(1), 1, {}
  model:release() -- one arena at a time
  local explain, close = family.prepare(model, request)
  while first <= count do
    local last = math.min(first + request.batch - 1, count)
    local explained = {}
    local part = explain(request.batch < count and x:view(first, last) or x, function(logits)
      targets.check_finite("attribute", logits)
      explained.weights, explained.target, explained.against = read(logits, first)
      return explained.weights
    end, first)
    for key, value in pairs(explained) do part[key] = value end
    if last - first + 1 == count then
      result = part
    else
      merge_batches.add(result, part, first, count)
      merge_batches.release(part)
    end
    first = last + 1
  end
  close()
  return result
end

--- Attributes an output of a model to its input and to its nodes.
--
-- * `lrp`: layer-wise relevance propagation (Bach et al. 2015) by a composite: `epsilon_plus` for CNNs, `attnlrp` for
--   transformers, another name of secateur.attribution.composites, or a list of `{ match =, rule = }`.
-- * `dlb`: DL-Backtrace (Sankarapu et al. 2024), in its default or its contrastive mode.
-- * `ig`: Integrated Gradients (Sundararajan et al. 2017) for the input, conductance (Dhamdhere et al. 2018) for nodes.
-- * `gradient`: the gradient, at the input and at nodes; `gradient_x_input`: times the value there.
-- * `smoothgrad`: the gradient averaged over noisy copies (Smilkov et al. 2017).
-- * `guided_backprop`: the gradient with only what is positive passed on by ReLUs (Springenberg et al. 2015); other
--   activations are an error, for it is not defined there.
-- * `grad_cam`: the maps of a layer, weighted by their mean gradient (Selvaraju et al. 2017); `input` is
--   [N x 1 x H x W].
--
-- Options of all methods: `method` ("lrp"), `target` ("prediction"), `layers` (node names, "all", or by default all
-- convolutions and linear layers), `batch` (16: the most samples, or steps or copies of samples, at a time: memory
-- beyond the results depends on it alone; runs that take gradients are smaller where they would need more than 512
-- MiB). An option of another method than the one chosen is an error.
--
-- A target is a class, from 1; a list of classes, one per sample; "prediction"; `{ of =, against = }` of these (against
-- also "runner_up": the best other class), which explains the difference of two logits; or a Tensor [N x classes] of
-- weights, which explains the sum of weights * logits. One sigmoid logit is explained as class 2 by what speaks for it,
-- as class 1 by what speaks against it (weight -1), and the contrast of the two is the logit itself. Of several
-- findings "prediction" is the likeliest one, whatever its probability.
--
-- * `lrp`, `dlb`: `composite`; `start` ("one": relevance begins as the weight of the target, 1 at the class; "logit",
--   "probability": as that times the logit or the probability); `exact` (false: wide convolutions go through Winograd's
--   transform, except where a max pool chooses by them or a rule divides by sums that may be zero; true: none does,
--   which takes longer).
-- * `lrp` besides: `low`, `high` (with `composite = "epsilon_gamma_box"`: what pixels are at least and at most, numbers
--   or lists of one per channel; by default what black and white are after the normalisation that the model knows, of a
--   model that knows none -3 and 3); `batch_norm` ("epsilon": a batch norm that has no layer to be folded into, as
--   those before a DenseNet's convolutions, shares relevance in proportion to what it adds up, so that its shift takes
--   part; "pass": relevance goes through it unchanged, as in zennit).
-- * `dlb` besides: `mode` ("default"; "contrastive": what speaks for the target and what speaks against it travel
--   apart, and meet in the result as the one minus the other. Against a class are all others, in equal parts, of a
--   sigmoid head none; against `{ of =, against = }` and weights what these say. Its rule is not continuous: where what
--   speaks for an output and what speaks against it are equal, a last bit decides who takes which share); `compat`
--   ("dl-backtrace": the numbers of the package dl_backtrace 0.0.25, whose convolutions gate by the sum of all
--   magnitudes, whose SiLU is "swish", with a slope of 0.75 and a lower limit of -6, and whose norms pass relevance
--   unchanged; it concerns the default mode).
-- * `ig`: `steps` (32); `quadrature` of the input map ("midpoint", "trapezoid", "gauss_legendre"); `baseline` ("black":
--   the normalised black image; "zero"; "blurred": the image under a Gaussian of `sigma` pixels, by default a fifteenth
--   of its shorter side; a Tensor; a split: its mean image; or a list of these, whose attributions are averaged). Nodes
--   get conductance from the ends of `steps` equal steps, whatever the quadrature. In passes forward and back: the
--   trapezoid serves input and all nodes in steps + 1, the other two take steps for the input and steps + 1 more for
--   nodes. With `steps = "auto"` the steps of each sample are doubled from 16 until its gap is at most `tolerance`
--   (0.01) times |f(x) - f(baseline)| (0.01 at least), or `max_steps` (1024) are reached; the gap then tells.
-- * `smoothgrad`: `samples` (25), `noise` (0.15: its standard deviation as a part of the sample's range), `seed` (0).
-- * `grad_cam`: `layer` (by default the block that the last convolution ends, or the norm before the last attention: at
--   the output of a transformer's last block only the class token has a gradient). `layers` are maps [N x height x
--   width], by default that of `layer`.
--
-- @tparam Model model
-- @tparam Tensor x [N x C x H x W]
-- @tparam[opt] table opts see above
-- @treturn Attribution
-- @usage
-- local result = sc.attribute(model, data.test:batch { 1 }, { method = "lrp" })
-- sc.save_image("why.png", sc.heatmap(result.input[1]))
local function attribute(model, x, opts)
  model_class.check("attribute", model)
  local checked = methods.check("attribute", opts, methods.common)
  local count = model:check_batch("attribute", x)
  local family = methods.get(checked.method).family
  local request = { name = "attribute", method = checked.method, options = checked, input = true, units = false,
    layers = choose_layers(model, checked.layers, family, checked), batch = math.min(checked.batch, count),
    rows = checked.batch, total = count }
  local result = errors.within("attribute", function()
    local read = targets.for_model("attribute", checked.target, count, model)
    return explain_parts(model, x, family, request, read)
  end)
  result.method = checked.method
  return setmetatable(result, Attribution)
end

return attribute
