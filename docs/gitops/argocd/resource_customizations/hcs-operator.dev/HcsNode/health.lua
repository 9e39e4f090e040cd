-- Stalled is Degraded, Ready is Healthy, all else is Progressing.
-- Of Lua's libraries, Argo CD gives no more than base and table to a script.
local conditions = {}
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    conditions[condition.type] = condition
  end
end
local ready = conditions.Ready

if ready == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "Waiting for the node's agent" }
end

local message = ready.reason .. ": " .. ready.message
if conditions.Stalled ~= nil and conditions.Stalled.status == "True" then
  return { status = "Degraded", message = message }
end
if ready.status == "True" then
  return { status = "Healthy", message = message }
end
return { status = "Progressing", message = message }
