"""All contracts of inventory with the world outside: supply, counts, feeds, and what a SKU is."""

from libs.events.channel_days import CHANNEL_DAYS_COMMANDS, CHANNEL_DAYS_EVENTS
from libs.events.conditions import CONDITION_COMMANDS, CONDITION_EVENTS
from libs.events.feed_maps import FEED_MAP_COMMANDS, FEED_MAP_EVENTS
from libs.events.feeds import FEED_COMMANDS, FEED_EVENTS
from libs.events.items import ITEM_COMMANDS, ITEM_EVENTS
from libs.events.lots import LOT_COMMANDS, LOT_EVENTS
from libs.events.serials import SERIAL_COMMANDS, SERIAL_EVENTS
from libs.events.stocktaking import STOCKTAKING_COMMANDS, STOCKTAKING_EVENTS
from libs.events.supply import SUPPLY_COMMANDS, SUPPLY_EVENTS

OUTSIDE_COMMANDS = (
    *SUPPLY_COMMANDS,
    *CONDITION_COMMANDS,
    *STOCKTAKING_COMMANDS,
    *FEED_COMMANDS,
    *FEED_MAP_COMMANDS,
    *ITEM_COMMANDS,
    *LOT_COMMANDS,
    *SERIAL_COMMANDS,
    *CHANNEL_DAYS_COMMANDS,
)
OUTSIDE_EVENTS = (
    *SUPPLY_EVENTS,
    *CONDITION_EVENTS,
    *STOCKTAKING_EVENTS,
    *FEED_EVENTS,
    *FEED_MAP_EVENTS,
    *ITEM_EVENTS,
    *LOT_EVENTS,
    *SERIAL_EVENTS,
    *CHANNEL_DAYS_EVENTS,
)
