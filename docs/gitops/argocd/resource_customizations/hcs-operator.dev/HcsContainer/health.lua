-- Stalled is Degraded, Reconciling is Progressing, Ready is Healthy. An object that is only observed and is not as it
-- should be is Suspended: nothing is done about it until someone asks for it.
-- Of Lua's libraries, Argo CD gives no more than base and table to a script.
local conditions = {}
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    conditions[condition.type] = condition
  end
end
local ready = conditions.Ready

local function holds(condition)
  return condition ~= nil and condition.status == "True"
end

local function says(condition)
  return condition.reason .. ": " .. condition.message
end

-- The status is of an older spec, or of none. The controller says why if nobody comes to read the new one.
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation or ready == nil then
  local message = "Waiting for the agent of node " .. obj.spec.nodeName
  if ready ~= nil and ready.observedGeneration == obj.metadata.generation then
    message = says(ready)
  end
  return { status = "Progressing", message = message }
end

if holds(conditions.Stalled) then
  return { status = "Degraded", message = says(conditions.Stalled) }
end
if holds(conditions.Reconciling) then
  return { status = "Progressing", message = says(conditions.Reconciling) }
end
if holds(ready) then
  return { status = "Healthy", message = says(ready) }
end
if ready.reason == "Observing" then
  return { status = "Suspended", message = says(ready) }
end
return { status = "Progressing", message = says(ready) }
