--- Where in a file the body of a known network is, and under whose names.
--
-- A layout is a way to name the parameters of one architecture: torchvision's own, timm's ViTs, Hugging Face's ResNets
-- and ViTs, and a ResNet whose children stand in an nn.Sequential (`0`, `1`, `4` to `7`: what
-- `list(model.children())` gives, as RadImageNet's weights and fastai's bodies have them).
-- @module secateur.pretrained.layouts
local errors = require "secateur.util.errors"
local parameter_names = require "secateur.formats.parameter_names"

local layouts = {}

local mapped = parameter_names.mapped

local function starts_with_any(name, patterns)
  for _, pattern in ipairs(patterns) do
    if name:find(pattern) then return true end
  end
  return false
end

-- ---- ResNet ----

local function resnet_body(name)
  if not starts_with_any(name, { "^conv1%.", "^bn1%.", "^layer%d+%." }) then return nil end
  return (name:gsub("^(layer%d+%.%d+%.)shortcut%.", "%1downsample."))
end

local torchvision_resnet = { family = "resnet", anchor = "layer1%.0%.conv1%.weight",
  body = function() return resnet_body end }

-- Stages are the children that hold blocks; before them are convolution, norm, and perhaps ReLU and pool.
local sequential_resnet = { family = "resnet", anchor = "%d+%.0%.conv1%.weight", from = "nn.Sequential" }

function sequential_resnet.body(has)
  local first = 2
  while first < 8 and not has(first .. ".0.conv1.weight") do first = first + 1 end
  if first == 8 or not has "0.weight" or not has "1.weight" then return nil end
  local last = first
  while has(("%d.0.conv1.weight"):format(last + 1)) do last = last + 1 end
  return function(name)
    local child, rest = name:match "^(%d+)%.(.+)$"
    local index = math.tointeger(child)
    if index == 0 then return "conv1." .. rest end
    if index == 1 then return "bn1." .. rest end
    if not index or index < first or index > last then return nil end
    return resnet_body(("layer%d.%s"):format(index - first + 1, rest))
  end, { stem_pool = first >= 4 } -- with ReLU and pool, or with ReLU at most
end

local hugging_face_conv = {
  { "^embedder%.embedder%.convolution%.", "conv1." },
  { "^embedder%.embedder%.normalization%.", "bn1." },
}

local function hugging_face_resnet_body(name)
  local own = mapped(hugging_face_conv, name)
  if own then return own end
  local stage, layer, rest = name:match "^encoder%.stages%.(%d+)%.layers%.(%d+)%.(.+)$"
  stage = math.tointeger(tonumber(stage))
  if not stage then return nil end
  local lead = ("layer%d.%s."):format(stage + 1, layer)
  local short = mapped({ { "^shortcut%.convolution%.", "downsample.0." },
    { "^shortcut%.normalization%.", "downsample.1." } }, rest)
  if short then return lead .. short end
  local index, kind, slot = rest:match "^layer%.(%d+)%.(%l+)%.([%w_]+)$"
  index = math.tointeger(tonumber(index))
  if not index or kind ~= "convolution" and kind ~= "normalization" then return nil end
  return ("%s%s%d.%s"):format(lead, kind == "convolution" and "conv" or "bn", index + 1, slot)
end

local hugging_face_resnet = { family = "resnet", anchor = "embedder%.embedder%.convolution%.weight",
  from = "Hugging Face", body = function() return hugging_face_resnet_body end }

-- ---- VGG ----

local vgg = { family = "vgg", anchor = "features%.0%.weight" }

function vgg.body(has)
  if has "features.4.0.conv1.weight" then return nil end -- a ResNet, in a Sequential of that name
  return function(name) return name:find "^features%." and name or nil end
end

-- timm's, whose first two linear layers are convolutions that read the whole map.
local timm_vgg = { family = "vgg", anchor = "pre_logits%.fc1%.weight" }
local timm_vgg_head = {
  { "^pre_logits%.fc1%.", "classifier.0." },
  { "^pre_logits%.fc2%.", "classifier.3." },
  { "^head%.fc%.", "classifier.6." },
}

function timm_vgg.body(has)
  if not has "features.0.weight" or not has "pre_logits.fc2.weight" then return nil end
  return function(name) return name:find "^features%." and name or mapped(timm_vgg_head, name) end
end

-- ---- ViT ----

local vit_parts = { "^class_token$", "^cls_token$", "^encoder%.", "^pos_embed$", "^conv_proj%.", "^patch_embed%.",
  "^blocks%.", "^norm%." }

local function vit_body(name)
  return starts_with_any(name, vit_parts) and parameter_names.torchvision(name) or nil
end

local torchvision_vit = { family = "vit", anchor = "conv_proj%.weight", body = function() return vit_body end }
local timm_vit = { family = "vit", anchor = "patch_embed%.proj%.weight", from = "timm",
  body = function() return vit_body end }

local encoder_layer = "^encoder%.layer%.(%d+)%."
local torch_layer = "encoder.layers.encoder_layer_%1."
local hugging_face_parts = {
  { "^embeddings%.cls_token$", "class_token" },
  { "^embeddings%.position_embeddings$", "encoder.pos_embedding" },
  { "^embeddings%.patch_embeddings%.projection%.", "conv_proj." },
  { encoder_layer .. "layernorm_before%.", torch_layer .. "ln_1." },
  { encoder_layer .. "layernorm_after%.", torch_layer .. "ln_2." },
  { encoder_layer .. "attention%.output%.dense%.", torch_layer .. "self_attention.out_proj." },
  { encoder_layer .. "intermediate%.dense%.", torch_layer .. "mlp.0." },
  { encoder_layer .. "output%.dense%.", torch_layer .. "mlp.3." },
  { "^layernorm%.", "encoder.ln." },
  { "^layers%.(%d+)%.layernorm_before%.", torch_layer .. "ln_1." }, -- since version 5, where no file is written
  { "^layers%.(%d+)%.layernorm_after%.", torch_layer .. "ln_2." },
  { "^layers%.(%d+)%.attention%.o_proj%.", torch_layer .. "self_attention.out_proj." },
  { "^layers%.(%d+)%.mlp%.fc1%.", torch_layer .. "mlp.0." },
  { "^layers%.(%d+)%.mlp%.fc2%.", torch_layer .. "mlp.3." },
}
-- Queries, keys and values are parameters of their own; one of torchvision's has the rows of all three.
local projections = { query = 1, key = 2, value = 3, q_proj = 1, k_proj = 2, v_proj = 3 }

local function hugging_face_vit_body(name)
  local own = mapped(hugging_face_parts, name)
  if own then return own end
  local index, part, slot = name:match(encoder_layer .. "attention%.attention%.(%l+)%.(%l+)$")
  if not index then index, part, slot = name:match "^layers%.(%d+)%.attention%.(%l_proj)%.(%l+)$" end
  if not projections[part] then return nil end
  return ("encoder.layers.encoder_layer_%s.self_attention.in_proj_%s"):format(index, slot), projections[part]
end

local hugging_face_vit = { family = "vit", anchor = "embeddings%.patch_embeddings%.projection%.weight",
  body = function() return hugging_face_vit_body end, defaults = { eps = 1e-12 }, from = "Hugging Face",
  unused = { "^pooler%.dense%." } } -- ViTModel's, which no classifier reads

local all = { torchvision_resnet, sequential_resnet, hugging_face_resnet, timm_vgg, vgg, torchvision_vit, timm_vit,
  hugging_face_vit }

-- ---- which one ----

-- Copies that follow the weights in training, of which there is a better one.
local function is_copy(prefix)
  local lower = prefix:lower()
  return lower:find "_k%." or lower:find "momentum" or lower:find "target" or lower:find "%f[%a]ema%f[%A]"
end

-- Prefixes that an anchor is found behind: those that are no copies first, then sorted.
local function prefixes_of(names, anchor)
  local seen, list = {}, {}
  for _, name in ipairs(names) do
    local at = name:find("%f[^\0.]" .. anchor .. "$") -- at the beginning or behind a dot
    local prefix = at and name:sub(1, at - 1)
    if prefix and not seen[prefix] then
      seen[prefix] = true
      list[#list + 1] = prefix
    end
  end
  table.sort(list, function(a, b)
    local a_copy, b_copy = is_copy(a) and true or false, is_copy(b) and true or false
    if a_copy ~= b_copy then return b_copy end
    return a < b
  end)
  return list
end

-- All bodies: {layout, prefix, map, told} each, where `map` gives torchvision's name for one behind the prefix.
local function find_bodies(names)
  local set, found, taken = {}, {}, {}
  for _, name in ipairs(names) do set[name] = true end
  for _, layout in ipairs(all) do
    for _, prefix in ipairs(prefixes_of(names, layout.anchor)) do
      local map, told = layout.body(function(name) return set[prefix .. name] end)
      if map and not taken[prefix] then
        taken[prefix] = true
        found[#found + 1] = { layout = layout, prefix = prefix, map = map, told = told or {} }
      end
    end
  end
  return found
end

--- The body of a known network among a file's names, or nil. Raises where there are several and none of them is
-- in front.
-- @tparam {string,...} names
-- @string lead what stood before all of them in the file
-- @treturn ?table `prefix`; `whole_prefix`, the same with what stood before; `map`, a function that gives torchvision's
--   name for a name behind it (and 1, 2 or 3 for queries, keys and values), or nil; `family`; `told`, options that the
--   layout tells; `defaults`, options that those who use such names have; `unused`, patterns of what no classifier
--   reads; `from`, whose names these are
function layouts.find(names, lead)
  local found = find_bodies(names)
  local one = found[1]
  if #found > 1 then
    one = nil
    for _, body in ipairs(found) do
      if body.prefix == "" then one = body end
    end
  end
  if not one and #found > 1 then
    local shown = {}
    for i, body in ipairs(found) do
      shown[i] = ("'%s'%s"):format(lead .. body.prefix, is_copy(body.prefix) and " (a copy that followed it)" or "")
    end
    errors.raise("it holds several networks, behind %s; choose one of them with prefix", table.concat(shown, " and "))
  end
  if not one then return nil end
  return { prefix = one.prefix, whole_prefix = lead .. one.prefix,
    map = one.map, family = one.layout.family, told = one.told,
    defaults = one.layout.defaults or {}, unused = one.layout.unused or {}, from = one.layout.from or "torchvision" }
end

return layouts
