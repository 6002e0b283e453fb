//! What an error means for the data, by what it strikes.

/// What an error strikes, which decides what it means for the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// What commits whole or not at all: a look, our own tables, a version in one transaction.
    Whole,
    /// A look behind a commit of our own tables.
    Committed,
    /// A version in parts, of which some may be done. The engine says how far it is.
    InParts,
    /// A flush of versions that are committed. The engine names them.
    Flush,
}

impl Work {
    /// A sentence that holds only for what commits whole, or the one that holds behind its commit.
    pub(super) fn whole(self, sentence: &'static str) -> &'static str {
        match self {
            Self::Whole => sentence,
            Self::Committed => {
                " What was written before that is committed and recorded; the next run goes on from there."
            }
            Self::InParts | Self::Flush => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_a_commit_nothing_is_said_to_be_unchanged() {
        let sentence = " Nothing was changed.";
        assert_eq!(Work::Whole.whole(sentence), sentence);
        assert_eq!(
            Work::Committed.whole(sentence),
            " What was written before that is committed and recorded; the next run goes on from there."
        );
        assert_eq!(Work::InParts.whole(sentence), "");
    }
}
