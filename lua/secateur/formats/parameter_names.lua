--- Parameter names of other programs, read as torchvision's.
--
-- Known are torchvision's own, those of its first ViTs (`mlp.linear_1`, `mlp.linear_2`), and those of timm's ViTs. Both
-- lay tensors out alike: `attn.qkv` is `in_proj`, the rows of q, k and v one after another. timm's ResNets have
-- torchvision's names anyway.
-- @module secateur.formats.parameter_names
local errors = require "secateur.util.errors"

local parameter_names = {}

-- What DataParallel, torch.compile and training frameworks put before all names.
local wrappers = { "module.", "_orig_mod.", "model." }

-- Beside the names of a model that torch.optim.swa_utils.AveragedModel has wrapped.
local COUNTER = "n_averaged"

local function all_start(list, prefix)
  local some = false
  for _, name in ipairs(list) do
    if name ~= COUNTER then
      if #name <= #prefix or name:sub(1, #prefix) ~= prefix then return false end
      some = true
    end
  end
  return some
end

--- What wrappers have put before all of a file's names: "module.", "_orig_mod." and "model." in any combination.
-- @tparam {string,...} list
-- @tparam[opt={}] {string,...} own names of the model; what all of these carry as well is not a wrapper's
-- @treturn string "" when there is nothing in common
function parameter_names.prefix(list, own)
  local function next_wrapper(prefix)
    for _, wrapper in ipairs(wrappers) do
      if not all_start(own or {}, wrapper) and all_start(list, prefix .. wrapper) then return wrapper end
    end
    return nil
  end
  local prefix, wrapper = "", next_wrapper ""
  while wrapper do
    prefix = prefix .. wrapper
    wrapper = next_wrapper(prefix)
  end
  return prefix
end

-- A name that every model of a family has.
local anchors = { "layer1.0.conv1.weight", "features.0.weight", "conv_proj.weight", "patch_embed.proj.weight" }

--- The prefix to look behind: the one given, or what wrappers have put. Raises where the one given
-- is that of no name.
-- @tparam {string,...} list
-- @tparam ?string given
-- @tparam[opt={}] {string,...} own as in `prefix`
-- @treturn string
function parameter_names.settle_prefix(list, given, own)
  if not given then return parameter_names.prefix(list, own) end
  for _, name in ipairs(list) do
    if name:sub(1, #given) == given then return given end
  end
  if #list > 0 then errors.raise("prefix: no name begins with '%s'", given) end
  return given
end

--- A hint for messages, where a model seems to be behind a prefix, among other things: of
-- "backbone.layer1.0.conv1.weight" that is "backbone.".
-- @tparam {string,...} list
-- @treturn string "" where it seems not
function parameter_names.hint(list)
  for _, name in ipairs(list) do
    for _, anchor in ipairs(anchors) do
      local behind = name:sub(-#anchor - 1) == "." .. anchor
      if behind and #name > #anchor + 1 then
        return ("; prefix = '%s' would look at names that begin so alone"):format(name:sub(1, -#anchor - 1))
      end
    end
  end
  return ""
end

local block = "^blocks%.(%d+)%."
local layer = "encoder.layers.encoder_layer_%1."

-- Pattern and replacement; the first that fits counts.
local maps = {
  { "^(encoder%.layers%.encoder_layer_%d+%.mlp%.)linear_1%.", "%10." },
  { "^(encoder%.layers%.encoder_layer_%d+%.mlp%.)linear_2%.", "%13." },
  { "^cls_token$", "class_token" },
  { "^pos_embed$", "encoder.pos_embedding" },
  { "^patch_embed%.proj%.", "conv_proj." },
  { block .. "norm([12])%.", layer .. "ln_%2." },
  { block .. "attn%.qkv%.(%w+)$", layer .. "self_attention.in_proj_%2" },
  { block .. "attn%.proj%.", layer .. "self_attention.out_proj." },
  { block .. "mlp%.fc1%.", layer .. "mlp.0." },
  { block .. "mlp%.fc2%.", layer .. "mlp.3." },
  { "^norm%.", "encoder.ln." },
  { "^head%.", "heads.head." },
  { "^heads%.([wb%d])", "heads.head.%1" }, -- `model.heads = nn.Linear(…)`, or a Sequential, as people put there
}

local back_block = "^encoder%.layers%.encoder_layer_(%d+)%."

-- The other direction, for ViTs.
local to_timm = {
  { "^class_token$", "cls_token" },
  { "^encoder%.pos_embedding$", "pos_embed" },
  { "^conv_proj%.(%w+)$", "patch_embed.proj.%1" },
  { back_block .. "ln_([12])%.(%w+)$", "blocks.%1.norm%2.%3" },
  { back_block .. "self_attention%.in_proj_(%w+)$", "blocks.%1.attn.qkv.%2" },
  { back_block .. "self_attention%.out_proj%.(%w+)$", "blocks.%1.attn.proj.%2" },
  { back_block .. "mlp%.0%.(%w+)$", "blocks.%1.mlp.fc1.%2" },
  { back_block .. "mlp%.3%.(%w+)$", "blocks.%1.mlp.fc2.%2" },
  { "^encoder%.ln%.(%w+)$", "norm.%1" },
  { "^heads%.head%.(%w+)$", "head.%1" },
}

--- What the first map that fits makes of a name.
-- @tparam {{string,string},...} list pattern and replacement each
-- @string name
-- @treturn ?string nil where none fits
function parameter_names.mapped(list, name)
  for _, map in ipairs(list) do
    local other, count = name:gsub(map[1], map[2])
    if count > 0 then return other end
  end
  return nil
end

--- The name that timm's ViTs have for a parameter of torchvision's.
-- @string name
-- @treturn ?string nil when a ViT has no such parameter
function parameter_names.timm(name)
  return parameter_names.mapped(to_timm, name)
end

--- The name that torchvision's models have for a parameter.
-- @string name
-- @treturn string the same name where no map is known
function parameter_names.torchvision(name)
  return parameter_names.mapped(maps, name) or name
end

return parameter_names
