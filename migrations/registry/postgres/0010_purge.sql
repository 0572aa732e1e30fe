-- Records that an operator has purged, because the account that stated them was compromised. They are withdrawn, and newer versions of
-- them are refused until an operator permits them.
ALTER TABLE fact ADD COLUMN purged BOOLEAN NOT NULL DEFAULT FALSE;
